// Four lines for first-time visitors, each with a ring around what it is about. It stands where the tagline stands and its
// room is kept when it ends, so nothing on the page is covered and nothing moves. Doing what a line says goes on, too.

const SEEN = "nted-step-tour";
const KEPT = "nted-step"; // what the run bar keeps: whoever has it was here before
const root = element.querySelector(".to-root");
const top_ = document.querySelector("#top");
const LINES = [
  ["Drag a joint: the person takes the new pose.", ".pe-stage"],
  ["The slider shows how the picture came into focus, step by step.", ".sv-track"],
  ["Choose somebody else here, or bring your own photo.", "#people"],
  ["Save the picture or an animation, or copy a link to it.", ".rb-save"],
];
let at = -1; // the line on screen, or -1

function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return "no room";
  } // where nothing can be kept, the tour would come every time
}

function show(index) {
  document.querySelector(".to-target")?.classList.remove("to-target");
  at = index < LINES.length ? index : -1;
  root.hidden = at < 0;
  if (index > 0)
    try {
      localStorage.setItem(SEEN, "1");
    } catch {
      /* see read() */
    }
  if (at < 0) return;
  const [text, target] = LINES[at];
  element.querySelector(".to-text").textContent = text;
  element.querySelector(".to-count").textContent = `${at + 1}/${LINES.length}`;
  element.querySelector(".to-next").textContent = at + 1 < LINES.length ? "Next" : "Done";
  ring(target);
}

/** Around what the line is about, which may come onto the page after this script. */
function ring(target) {
  if (at < 0 || LINES[at][1] !== target) return;
  const found = document.querySelector(target);
  if (found) found.classList.add("to-target");
  else setTimeout(ring, 100, target);
}

/** The room that the tour took stays, until the page is opened again: nothing moves under a finger. */
function end() {
  top_.style.minHeight = `${top_.getBoundingClientRect().height}px`;
  const inside = root.contains(document.activeElement);
  show(LINES.length);
  if (inside) document.querySelector("[data-joint]")?.focus({ preventScroll: true }); // where Tab would have gone next
}

const next = () => (at + 1 < LINES.length ? show(at + 1) : end());

element.querySelector(".to-next").addEventListener("click", next);
element.querySelector(".to-close").addEventListener("click", end);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && at >= 0) end();
});
home.addEventListener("pose-release", () => {
  if (at === 0) next();
});
document.addEventListener("click", (event) => {
  if (at === 2 && event.target.closest?.(".pp-item")) next();
});
document.addEventListener("change", (event) => {
  if (at >= 0 && event.target.matches?.("#people [type=file]")) end();
}); // there is something to say of a photo
document.addEventListener("input", (event) => {
  if (at === 1 && event.target.matches?.(".sv-slider")) next();
});

if (!read(SEEN) && !read(KEPT) && !new URLSearchParams(location.hash.slice(1)).has("pose")) show(0);
