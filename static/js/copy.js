// Copy buttons: [data-copy] holds the text, or [data-copy-from] the id of the element whose text it is.
async function put(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Plain http on another machine has no clipboard API.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const from = button.dataset.copyFrom;
  await put(from ? document.getElementById(from).textContent : button.dataset.copy);
  const use = button.querySelector("use");
  if (!use) return;
  const before = use.getAttribute("href");
  use.setAttribute("href", before.replace(/#.*/, `#${icon("check")}`));
  button.classList.add("ad-good");
  setTimeout(() => {
    use.setAttribute("href", before.replace(/#.*/, `#${icon("copy")}`));
    button.classList.remove("ad-good");
  }, 1200);
});

// Only names the icon, so that scripts/vendor finds it.
function icon(name) {
  return name;
}
