// A field that shortens a list as one types: [data-shortens] names the list, whose items are compared by their text.
document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-shortens]");
  if (!field) return;
  const wanted = field.value.trim().toLowerCase();
  for (const item of document.querySelectorAll(`#${CSS.escape(field.dataset.shortens)} > li`)) {
    item.hidden = !item.textContent.toLowerCase().includes(wanted);
  }
});

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("[data-shortens]");
  if (!field || event.key !== "Enter") return;
  event.preventDefault();
  document.querySelector(`#${CSS.escape(field.dataset.shortens)} > li:not([hidden]) a`)?.click();
});
