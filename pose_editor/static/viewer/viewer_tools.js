// --- ways to look at the result: wipe against the photo, pixel lens, the pose that was used, arrow keys ------------

const stage = root.querySelector(".sv-stage");
const source = root.querySelector(".sv-source");
const wipe = root.querySelector(".sv-wipe");
const poseView = root.querySelector(".sv-pose");
const see = (name) => root.querySelector(`[data-see="${name}"]`);
const pressed = (name) => see(name).getAttribute("aria-pressed") === "true";

for (const name of ["wipe", "lens", "pose", "trace"]) {
  see(name).addEventListener("click", () => {
    see(name).setAttribute("aria-pressed", !pressed(name));
    const pointing = ["wipe", "lens", "trace"]; // each wants the pointer for itself
    if (pointing.includes(name) && pressed(name))
      for (const other of pointing) if (other !== name) see(other).setAttribute("aria-pressed", false);
    drawWays();
  });
}

function drawWays() {
  root.classList.toggle("sv-wiping", pressed("wipe"));
  root.classList.toggle("sv-lensing", pressed("lens"));
  source.hidden = wipe.hidden = !pressed("wipe");
  root.classList.toggle("sv-trace", pressed("trace"));
  tracing.hidden = !pressed("trace");
  if (!pressed("trace")) showTrace(null);
  draw();
}

// --- the newest result with more pixels, for the lens -------------------------------------------------------------

let askedFor = null; // the edit that it was last asked for

/** URL of the whole result in the photo's own detail, where the lens is on it and the server has answered; asks for it where not. */
function sharp() {
  if (!pressed("lens") || preview || shown() < last || fresh <= last) return null;
  if (props.zoomed?.edit === edit) return props.zoomed.url;
  if (askedFor !== edit) trigger("zoom");
  askedFor = edit;
  return null;
}

watch("zoomed", draw);

// --- where does this come from? ---------------------------------------------------------------------------------

const tracing = root.querySelector(".sv-tracing");
const level = root.querySelector(".sv-level");
const labels = root.querySelector(".sv-labels");
const showLabels = root.querySelector(".sv-show");
const cross = root.querySelector(".sv-cross");
let traced = null; // the answer to the last click: { glow, labels, everywhere, place }
const line = document.createElementNS("http://www.w3.org/2000/svg", "svg"); // from the result to the place in the photo
line.classList.add("sv-line");
line.setAttribute("aria-hidden", true);
line.setAttribute("hidden", "");
line.append(...[1, 2].map(() => document.createElementNS("http://www.w3.org/2000/svg", "line"))); // a dark one below, to stand out on anything
const ground = home.body ?? home;
ground.append(line);
let asked = [88, 100];

level.replaceChildren(...props.levels.map(([height, width], index) => new Option(`${height}x${width}`, index)));
level.value = Math.min(1, props.levels.length - 1); // fine enough to see garments, coarse enough to be clear

function ask() {
  const [height, width] = props.sizes[last];
  cross.style.setProperty("--cross-x", `${(100 * asked[0]) / width}%`);
  cross.style.setProperty("--cross-y", `${(100 * asked[1]) / height}%`);
  trigger("trace", { x: asked[0], y: asked[1], step: Math.max(shown(), 1), level: Number(level.value) });
}

/** The glow belongs over the photo, which is the pose editor's; it listens for this event. */
function showTrace(answer) {
  traced = answer;
  labels.hidden = !answer || !showLabels.checked;
  cross.hidden = !answer;
  if (answer) labels.src = answer.labels;
  tracing.querySelector("span").textContent = answer?.everywhere ? "From all over the photo." : "Click the result."; // a level that does not choose
  home.dispatchEvent(new CustomEvent("photo-overlay", { detail: answer?.glow ?? null }));
  drawLine();
}

/** Across both pictures, where the pixel is the photo's own; up to the frame's edge, where the place is outside of an enlarged view. */
function drawLine() {
  const photo = home.querySelector(".pe-photo");
  const place = traced?.place && photo ? traced.place : null;
  line.toggleAttribute("hidden", !place);
  if (!place) return;
  const origin = ground.getBoundingClientRect(),
    here = stage.getBoundingClientRect(),
    there = photo.getBoundingClientRect();
  const [height, width] = props.sizes[last],
    frame = photo.ownerSVGElement.getBoundingClientRect();
  const end = (box, [x, y], { left, top, right, bottom }) => [
    Math.min(Math.max(box.left + (x / width) * box.width, left), right) - origin.left,
    Math.min(Math.max(box.top + (y / height) * box.height, top), bottom) - origin.top,
  ];
  const [[x1, y1], [x2, y2]] = [end(here, asked, here), end(there, place, frame)];
  for (const each of line.children) for (const [key, value] of Object.entries({ x1, y1, x2, y2 })) each.setAttribute(key, value);
}
// A panel that opens, a larger view of the photo and a narrower window move what the line connects.
new ResizeObserver(drawLine).observe(stage);
new ResizeObserver(drawLine).observe(ground);
home.addEventListener("photo-moved", drawLine);

stage.addEventListener("click", (event) => {
  if (!pressed("trace") || event.target.closest(".sv-tracing")) return;
  const box = stage.getBoundingClientRect(),
    [height, width] = props.sizes[last];
  asked = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  ask();
});
level.addEventListener("change", ask);
showLabels.addEventListener("change", () => (traced ? showTrace(traced) : ask()));
watch("traced", () => {
  if (pressed("trace") && props.traced?.edit === edit && !preview) showTrace(props.traced);
});

function drawSource() {
  if (props.source) source.src = props.source;
  see("wipe").disabled = !props.source;
  see("wipe").title = `Compare with ${props.against}`;
  see("wipe").setAttribute("aria-label", see("wipe").title);
}

wipe.addEventListener("input", () => stage.style.setProperty("--wipe", `${wipe.value}%`));

stage.addEventListener("pointermove", (event) => {
  if (!pressed("lens")) return;
  const box = stage.getBoundingClientRect();
  stage.style.setProperty("--at-x", `${(100 * (event.clientX - box.left)) / box.width}%`);
  stage.style.setProperty("--at-y", `${(100 * (event.clientY - box.top)) / box.height}%`);
});

stage.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.target !== stage) return;
  stop();
  go(Number(slider.value) + step);
  event.preventDefault();
});

/** The skeleton of this very result, small in the corner. */
function drawPose() {
  poseView.toggleAttribute("hidden", !pressed("pose") || !used);
  if (!used || !pressed("pose")) return;
  const [height, width] = props.sizes[last];
  poseView.setAttribute("viewBox", `0 0 ${width} ${height}`);
  poseView.replaceChildren(
    ...props.limbs.flatMap(([a, b, colour]) => {
      if (!used[a][2] || !used[b][2]) return [];
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const ends = { x1: used[a][0], y1: used[a][1], x2: used[b][0], y2: used[b][1], stroke: colour };
      for (const [key, value] of Object.entries(ends)) line.setAttribute(key, value);
      return [line];
    }),
  );
}

/** A new result ends the playing of the old one, and is not left at the step where that happened to be. */
const halfway = () => (timer ? ended() : stop());

/** Nothing can be made of that pose: the editor says why, and the result that was there stays. */
function refuse(value) {
  if (value.edit < edit) return;
  preview = null;
  stopped = fresh <= last;
  home.dispatchEvent(new CustomEvent("pose-refused", { detail: value }));
  draw();
}

/** Take over what Python sent. Anything made for an older edit than the one on screen is late, and ignored. */
function adopt() {
  const value = props.value;
  if (value?.kind === "refused") return refuse(value);
  if (!value || !value.frames?.length || value.edit < edit) return;
  if (value.kind === "preview") {
    if (value.edit === edit && !preview) return; // the finished steps of this very pose are already arriving
    halfway();
    edit = value.edit;
    preview = { url: value.frames[value.frames.length - 1], step: value.step };
  } else {
    if (value.edit !== edit) {
      halfway();
      stopped = false;
      if (value.at !== undefined) wanted = value.at;
    }
    edit = value.edit;
    used = value.joints ?? null;
    preview = null;
    fresh = value.frames.length;
    frames = value.frames.concat(frames.slice(fresh));
  }
  draw();
}

watch("value", adopt);
watch("source", drawSource);
see("trace").hidden = !props.levels.length;
drawSource();
adopt();
if (fresh > last && !matchMedia("(prefers-reduced-motion: reduce)").matches) opening = setTimeout(start, 500); // shows at once what the page is about
