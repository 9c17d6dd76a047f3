//! The Python module `trivet._trivet`: the only crate that knows Python.
//!
//! `python/trivet/_trivet.pyi` is its face, `docs/internals/native.md` its
//! description. It converts; what it decides is in the other crates.

mod addresses;
mod asgi;
mod claim;
mod edge;
mod frames;
mod process;
mod routes;
mod wsgi;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _trivet(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("WIRE_VERSION", trivet_wire::WIRE_VERSION)?;
    module.add("CLAIM_PAGE_BYTES", trivet_wire::claim::PAGE_BYTES)?;
    module.add("MAX_THREADS", trivet_wire::claim::THREADS)?;
    module.add_function(wrap_pyfunction!(addresses::check_address_file, module)?)?;
    module.add_function(wrap_pyfunction!(claim::init_claim_page, module)?)?;
    module.add_function(wrap_pyfunction!(edge::run_edge, module)?)?;
    module.add_function(wrap_pyfunction!(edge::check_edge_config, module)?)?;
    module.add_function(wrap_pyfunction!(frames::decode_frame, module)?)?;
    module.add_function(wrap_pyfunction!(frames::encode_frame, module)?)?;
    module.add_function(wrap_pyfunction!(process::die_with_parent, module)?)?;
    module.add_function(wrap_pyfunction!(routes::check_field_name, module)?)?;
    module.add_function(wrap_pyfunction!(routes::check_pattern, module)?)?;
    module.add_function(wrap_pyfunction!(routes::check_media_types, module)?)?;
    module.add_function(wrap_pyfunction!(routes::check_template, module)?)?;
    module.add_function(wrap_pyfunction!(routes::unreachable_route, module)?)?;
    module.add_function(wrap_pyfunction!(routes::explain_request, module)?)?;
    module.add_function(wrap_pyfunction!(wsgi::interrupt_thread, module)?)?;
    module.add_class::<asgi::AsgiCall>()?;
    module.add_class::<asgi::AsgiExchange>()?;
    module.add_class::<asgi::AsgiHead>()?;
    module.add_class::<asgi::AsgiLink>()?;
    module.add_class::<asgi::AsgiRun>()?;
    module.add_class::<asgi::AsgiWork>()?;
    module.add_class::<wsgi::WsgiWorker>()?;
    module.add_class::<wsgi::StreamedContent>()?;
    Ok(())
}
