"""moto's server, a large Flask app: Amazon's S3 to whoever speaks its protocol."""

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

app = DomainDispatcherApplication(create_backend_app)
