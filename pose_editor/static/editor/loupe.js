// --- a loupe beside the joint that a finger drags, and covers ---------------------------------------------------------

const ACROSS = 22; // canvas pixels that the loupe shows; the dots of a face are 4 to 9 apart
const loupe = element.querySelector(".pe-loupe");

function drawLoupe() {
  const joint = drag?.touch && drag.kind === "joint" ? drag.joint : -1;
  loupe.toggleAttribute("hidden", joint < 0);
  if (joint < 0) return;
  const [x, y] = joints[joint],
    [height, width] = canvas,
    pixel = ACROSS / 120; // of the loupe, which is about 120 wide
  loupe.setAttribute("viewBox", `${x - ACROSS / 2} ${y - ACROSS / 2} ${ACROSS} ${ACROSS}`);
  loupe.classList.toggle("pe-right", (x - view.x) * view.zoom < width / 2); // away from the finger
  const picture = home.querySelector(".sv-image[src]")?.getAttribute("src") ?? props.photo;
  loupe.replaceChildren();
  if (picture) make("image", { href: picture, x: 0, y: 0, width, height, preserveAspectRatio: "none" }, loupe);
  figure.limbs.forEach(([a, b], index) => {
    if (!joints[a][2] || !joints[b][2]) return;
    const ends = { x1: joints[a][0], y1: joints[a][1], x2: joints[b][0], y2: joints[b][1] };
    make("line", { ...ends, class: "pe-limb", stroke: figure.colours[index], "stroke-width": 5 * pixel }, loupe);
  });
  joints.forEach(([cx, cy, seen], index) => {
    if (!seen && index !== joint) return;
    const looks = { fill: figure.colours[index], stroke: index === joint ? "#fff" : "rgb(20 20 24 / 0.6)", "stroke-width": 2.5 * pixel };
    make("circle", { cx, cy, r: (index === joint ? 8 : 5.5) * pixel, ...looks }, loupe);
  });
}
