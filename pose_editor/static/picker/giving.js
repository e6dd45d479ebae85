// --- giving a photo: chosen, dropped anywhere on the page, or pasted ------------------------------------------------
// All three end in the upload button nearby, so that they are the same from there on. Whoever wants a photo elsewhere takes the event
// "photo-dropped", which rises from where it was dropped, and says with "photo-for" which upload button gets it.

const QUIET = 600; // ms without another dragover until a drag counts as gone; browsers send one every 50 to 350 ms
const ACCEPTED = "image/jpeg,image/png,image/webp"; // and not image/*, so that phones convert their own kinds themselves
const BUTTONS = ".photos [type=file]";

const hint = element.querySelector(".pp-drop");
let hiding = 0;
let ours = false; // something of the page itself is dragged
hint.firstElementChild.textContent = props.invitation;

const isOpen = () => !!root.offsetParent && !document.querySelector("dialog[open]");
const hasFile = (event) => !ours && !event.defaultPrevented && [...(event.dataTransfer?.types ?? [])].includes("Files");
const isPhoto = (file) => !/json|^text\//.test(file.type); // what is none of the kinds that are read, the server names

function showHint(shown) {
  hint.hidden = !shown;
  clearTimeout(hiding);
  if (shown) hiding = setTimeout(showHint, QUIET, false);
}

/** As if the file had been chosen with this button. */
function put(file, input) {
  const held = new DataTransfer();
  held.items.add(file);
  input.files = held.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

const putHere = (file) => put(file, element.closest(".photos").querySelector("[type=file]"));

home.addEventListener("photo-for", ({ detail }) => put(detail.file, home.querySelector(detail.input)));

document.addEventListener("dragstart", () => (ours = true), true);
document.addEventListener("dragend", () => (ours = false), true);
document.addEventListener("dragover", (event) => {
  if (!hasFile(event) || !isOpen()) return;
  event.preventDefault(); // else the browser would open the file instead of the page
  event.dataTransfer.dropEffect = "copy";
  showHint(true);
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) showHint(false);
});
document.addEventListener("drop", (event) => {
  showHint(false);
  if (!hasFile(event) || !isOpen()) return;
  event.preventDefault();
  const file = [...event.dataTransfer.files].find(isPhoto);
  if (!file) return home.dispatchEvent(new CustomEvent("pose-file", { detail: event.dataTransfer.files[0] }));
  const free = event.target.dispatchEvent(new CustomEvent("photo-dropped", { bubbles: true, cancelable: true, detail: file }));
  if (free) putHere(file);
});

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  if (!file || event.defaultPrevented || !isOpen()) return;
  event.preventDefault();
  putHere(file);
});

home.addEventListener(
  "click",
  (event) => {
    if (event.target.matches?.(BUTTONS)) event.target.accept = ACCEPTED;
  },
  true,
);

// A photo that the server would refuse is not sent to it: the page says so where it says what is wrong with other photos.
home.addEventListener(
  "change",
  (event) => {
    const file = event.target.matches?.(BUTTONS) && event.target.files[0];
    if (!file || !props.most || file.size <= props.most) return;
    event.stopImmediatePropagation();
    event.target.value = "";
    trigger("too_large", { name: file.name, size: file.size });
  },
  true,
);
