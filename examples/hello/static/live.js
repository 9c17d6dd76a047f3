// Show the streaming view line by line: no library, only fetch and its reader.
const { stream } = document.currentScript.dataset;
const lines = document.getElementById("lines");
const again = document.getElementById("again");

async function show() {
  again.disabled = true;
  lines.textContent = "";
  try {
    const answer = await fetch(stream, { cache: "no-store" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      lines.append(decoder.decode(part.value, { stream: true }));
    }
    lines.append("done\n");
  } catch (error) {
    lines.append(`the stream broke off: ${error.message}\n`);
  }
  again.disabled = false;
}

again.addEventListener("click", show);
show();
