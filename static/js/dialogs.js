// Dialogs: [data-opens] names the one that it opens (a link, which leads somewhere without a script, or a button).
// The browser keeps the focus inside, closes at Esc, and gives the focus back; a click beside the dialog closes it too.
export function open(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return dialog;
  document.querySelector("dialog[open]")?.close();
  document.querySelector("#nav:popover-open")?.hidePopover();
  dialog.dispatchEvent(new Event("aerodash:opens"));
  dialog.showModal();
  return dialog;
}

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog[open]") && isBeside(event)) event.target.close();
  const opener = event.target.closest("[data-opens]");
  if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (open(opener.dataset.opens)) event.preventDefault();
});

function isBeside({ target, clientX: x, clientY: y }) {
  const box = target.getBoundingClientRect();
  return x < box.left || x > box.right || y < box.top || y > box.bottom;
}
