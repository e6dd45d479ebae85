// The step viewer: one picture out of a run, a slider over all its steps, a filmstrip, and play.
// The value is { edit, kind: "steps" | "preview", frames: [url, ...] }, frames from step 0 on, or { edit, kind:
// "refused", says }. A running sampler sends a growing list. Moving through the steps never asks the server. viewer_tools.js stands below it.

const PACE = 95; // ms per step when played

const root = element.querySelector(".sv-root");
const image = element.querySelector(".sv-image");
const [labelStep, , labelSize] = element.querySelectorAll(".sv-label span");
const strip = element.querySelector(".sv-strip");
const slider = element.querySelector(".sv-slider");
const play = element.querySelector(".sv-play");

const sizes = props.sizes;
const last = sizes.length - 1;
let frames = []; // what the strip shows: the newest run over what is left of the one before
let fresh = 0; // how many of them belong to the newest run
let edit = -1; // the edit they were made for
let preview = null; // { url, step } while a drag is being followed
let wanted = last; // the step the person asked for; the last one means "follow the sampler"
let stopped = false; // the person pressed Stop
let tracedFrame = ""; // step and edit of the picture that was traced
let onTop = ""; // URL of the result on screen
let timer = 0;
let opening = 0; // timer of the first play

const sizeText = (step) => `${sizes[step][0]}x${sizes[step][1]}`;
const stepName = (step) => `step ${step} · ${sizeText(step)}`;

const cells = sizes.map(() => {
  const cell = document.createElement("div");
  cell.className = "sv-cell";
  cell.append(Object.assign(document.createElement("img"), { alt: "", draggable: false, hidden: true }));
  strip.append(cell);
  return cell;
});
slider.max = last;

/** The step on screen: the one asked for, or the newest there is. */
const shown = () => Math.min(wanted, Math.max(fresh - 1, 0));

function draw() {
  const step = preview ? preview.step : shown();
  const detailed = sharp();
  const url = preview ? preview.url : (detailed ?? frames[step]);
  if (url && image.getAttribute("src") !== url) image.src = url;
  onTop = url;
  image.hidden = !url;
  image.classList.toggle("sv-sharp", !!detailed);
  image.classList.toggle("sv-full", step === last); // the last step is a picture, not pixels to be counted
  image.alt = url ? `The re-posed person, ${stepName(step)}` : "";
  labelStep.textContent = preview ? "preview" : `step ${step}`;
  labelSize.textContent = sizeText(step);
  slider.value = wanted < last && !stopped ? wanted : step; // where a person put it, though the sampler may still be on its way there
  slider.setAttribute("aria-valuetext", stepName(Number(slider.value)));
  root.dataset.step = step;
  root.dataset.wanted = wanted;
  root.dataset.state = preview ? "preview" : fresh > last ? "done" : stopped ? "stopped" : "running";
  root.dataset.edit = edit;
  drawPlay();
  drawReady();
  drawInset();
  const pictured = `${step} ${edit}`;
  if (traced && (pictured !== tracedFrame || preview)) showTrace(null); // it was about another picture
  tracedFrame = pictured;
  cells.forEach((cell, index) => {
    const picture = cell.firstChild;
    if (frames[index] && picture.getAttribute("src") !== frames[index]) picture.src = frames[index];
    picture.hidden = !frames[index];
    cell.classList.toggle("sv-stale", !!preview || index >= fresh);
    cell.classList.toggle("sv-on", index === step);
    cell.classList.toggle("sv-near", index === 4 * Math.round(step / 4)); // the one that stands for it in a short strip
  });
}

function go(step) {
  wanted = Math.min(Math.max(step, 0), last);
  preview = null;
  draw();
}

function stop() {
  clearTimeout(opening); // somebody was quicker than the first play
  clearInterval(timer);
  timer = 0;
  root.classList.remove("sv-playing");
  drawPlay();
}

/** One button: Stop while the sampler works, Pause while the steps play, else Play. */
function drawPlay() {
  const running = root.dataset.state === "running" && fresh > 0,
    name = running ? "Stop" : timer ? "Pause" : "Play all steps";
  root.classList.toggle("sv-running", running);
  play.setAttribute("aria-label", name);
  play.title = name;
}

/** What can do nothing without a result is off until there is one. */
function drawReady() {
  root.dataset.ready = fresh > 0;
  for (const control of [play, slider, ...home.querySelectorAll(".rb-save, .needs-result")]) control.disabled = !fresh;
}

// A result takes a second or two, and the picture is the one before until then: a line runs along its top.
const MOST_WAITING = 20000; // ms; whatever was awaited does not come any more
let waiting = 0;

function wait() {
  clearTimeout(waiting);
  waiting = setTimeout(arrived, MOST_WAITING);
  root.classList.add("sv-waiting");
}

function arrived() {
  clearTimeout(waiting);
  root.classList.remove("sv-waiting");
}

for (const event of ["pose-release", "result-awaited"]) home.addEventListener(event, wait);

// The step that the visitor had chosen before a reload, or that a link names.
home.addEventListener("step-kept", ({ detail }) => {
  stop();
  wanted = Math.min(detail, last);
});

function start() {
  stop();
  go(0);
  root.classList.add("sv-playing");
  timer = setInterval(() => (wanted < Math.min(last, Math.max(fresh - 1, 0)) ? go(wanted + 1) : ended()), PACE);
  drawPlay();
}

function ended() {
  wanted = last; // from here on it follows the sampler again
  stop();
}

function halt() {
  stopped = true;
  trigger("stop");
  draw();
}

play.addEventListener("click", () => (root.classList.contains("sv-running") ? halt() : timer ? stop() : start()));
slider.addEventListener("input", () => {
  stop();
  go(Number(slider.value));
});

function scrub(event) {
  const box = strip.getBoundingClientRect(),
    there = cells.filter((cell) => cell.offsetParent),
    place = Math.floor(((event.clientX - box.left) / box.width) * there.length);
  stop();
  go(cells.indexOf(there[Math.min(Math.max(place, 0), there.length - 1)]));
}

strip.addEventListener("pointerdown", (event) => {
  strip.setPointerCapture(event.pointerId);
  scrub(event);
});
strip.addEventListener("pointermove", (event) => {
  if (strip.hasPointerCapture(event.pointerId)) scrub(event);
});
