// --- ways to look at the result: wipe against the photo, pixel lens, the pose that was used, arrow keys ------------

const stage = root.querySelector(".sv-stage");
const source = root.querySelector(".sv-source");
const wipe = root.querySelector(".sv-wipe");
const poseView = root.querySelector(".sv-pose");
const see = (name) => root.querySelector(`[data-see="${name}"]`);
const pressed = (name) => see(name).getAttribute("aria-pressed") === "true";

for (const name of ["wipe", "lens", "pose"]) {
  see(name).addEventListener("click", () => {
    see(name).setAttribute("aria-pressed", !pressed(name));
    const other = { wipe: "lens", lens: "wipe" }[name]; // both want the pointer
    if (other && pressed(name)) see(other).setAttribute("aria-pressed", false);
    drawWays();
  });
}

function drawWays() {
  root.classList.toggle("sv-wiping", pressed("wipe"));
  root.classList.toggle("sv-lensing", pressed("lens"));
  source.hidden = wipe.hidden = !pressed("wipe");
  drawPose();
}

function drawSource() {
  if (props.source) source.src = props.source;
  see("wipe").disabled = !props.source;
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
  go(shown() + step);
  event.preventDefault();
});

/** The skeleton of this very result, small in the corner. */
function drawPose() {
  poseView.toggleAttribute("hidden", !pressed("pose") || !used);
  if (!used || !pressed("pose")) return;
  const [height, width] = props.sizes[last];
  poseView.setAttribute("viewBox", `0 0 ${width} ${height}`);
  poseView.replaceChildren(...props.limbs.flatMap(([a, b, colour]) => {
    if (!used[a][2] || !used[b][2]) return [];
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const ends = { x1: used[a][0], y1: used[a][1], x2: used[b][0], y2: used[b][1], stroke: colour };
    for (const [key, value] of Object.entries(ends)) line.setAttribute(key, value);
    return [line];
  }));
}

/** Take over what Python sent. Anything made for an older edit than the one on screen is late, and ignored. */
function adopt() {
  const value = props.value;
  if (!value || !value.frames?.length || value.edit < edit) return;
  if (value.kind === "preview") {
    if (value.edit === edit && !preview) return; // the finished steps of this very pose are already arriving
    stop();
    edit = value.edit;
    preview = { url: value.frames[value.frames.length - 1], step: value.step };
  } else {
    if (value.edit !== edit) {
      stop();
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
drawSource();
adopt();
if (fresh > last && !matchMedia("(prefers-reduced-motion: reduce)").matches) setTimeout(start, 500); // shows at once what the page is about
