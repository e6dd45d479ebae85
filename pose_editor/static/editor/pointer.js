// --- pointer: mouse, touch and pen -----------------------------------------------------------------------------
// A drag is one of: a joint (alone, or with the selection it belongs to), a handle of the frame, a lasso, or the view.

function toCanvas(event) {
  const box = svg.getBoundingClientRect();
  return [
    view.x + (((event.clientX - box.left) / box.width) * canvas[1]) / view.zoom,
    view.y + (((event.clientY - box.top) / box.height) * canvas[0]) / view.zoom,
  ];
}

function jointUnder(event) {
  const [x, y] = toCanvas(event);
  return nearestJoint(joints, x, y, (REACH[event.pointerType] ?? REACH.mouse) * grain());
}

/** What a press begins, or null for nothing. */
function beginning(event) {
  const handle = event.target.closest?.("[data-handle]")?.dataset.handle,
    joint = handle ? -1 : jointUnder(event);
  const panning = event.button === 1 || (view.zoom > 1 && joint < 0 && !handle && !event.shiftKey && !several);
  if (panning) return { kind: "view", corner: [view.x, view.y], box: svg.getBoundingClientRect(), at: [event.clientX, event.clientY] };
  if (event.pointerType === "mouse" && event.button !== 0) return null;
  if (handle) return { kind: handle === "turn" ? "turn" : "scale", ...pivot(handle) };
  if (joint >= 0) return { kind: "joint", joint };
  if (event.pointerType === "touch" && !several) return null; // a finger scrolls the page
  return { kind: "lasso", kept: event.shiftKey || several ? [...selected] : [] };
}

/** The point that stays: the corner opposite the one that is held, or the middle. */
function pivot(handle) {
  const { left, top, right, bottom } = bounds(joints, [...selected]);
  if (handle === "turn") return { pivot: [(left + right) / 2, (top + bottom) / 2] };
  return { pivot: [handle.includes("w") ? right : left, handle.includes("n") ? bottom : top] };
}

svg.addEventListener("pointerdown", (event) => {
  if (drag || pinch) return;
  const begun = beginning(event);
  if (!begun) return select([]);
  event.preventDefault();
  flushNudge();
  drag = { ...begun, touch: event.pointerType === "touch", pointer: event.pointerId, from: toCanvas(event), before: joints };
  svg.setPointerCapture(event.pointerId);
  stage.classList.add("pe-dragging");
  if (drag.kind === "joint") hold(drag.joint, event.shiftKey);
  if (drag.kind === "lasso") nodes.lasso.removeAttribute("width");
  draw();
});

/** A joint was pressed: it is selected; with Shift, or where several are wanted, it joins the selection or leaves it. */
function hold(joint, shift) {
  held = joint;
  nodes.dots[joint].focus({ preventScroll: true });
  if (shift) {
    if (!selected.delete(joint)) selected.add(joint);
  } else if (!selected.has(joint)) selected = new Set(several ? [...selected, joint] : [joint]);
  else drag.narrow = true; // a press without a move means this one alone, or that it leaves
}

/** The pose while a joint or a handle is dragged from `from` to `to`, always from the pose before, so that nothing drifts. */
function dragged({ kind, joint, before, from, pivot: still }, to) {
  const group = [...selected],
    dx = to[0] - from[0],
    dy = to[1] - from[1];
  if (!dx && !dy) return before; // back where it was, to the last bit
  if (kind === "scale") return scaled(before, group, still, Math.max(distance(to, still) / (distance(from, still) || 1), 0.05), canvas);
  if (kind === "turn")
    return turned(
      before,
      group,
      still,
      Math.atan2(to[1] - still[1], to[0] - still[0]) - Math.atan2(from[1] - still[1], from[0] - still[0]),
      canvas,
    );
  if (group.length > 1) return moved(before, group, dx, dy, canvas);
  // Held where it was touched: the joint does not jump under the finger.
  return movedJoint(before, joint, before[joint][0] + dx, before[joint][1] + dy);
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

/** One joint moved to (x, y) in the present mode; null when the canvas does not allow it. */
function movedJoint(before, joint, x, y) {
  if (before[joint][2] && mode === "reach" && CHAINS[joint]) return reach(before, joint, x, y, canvas);
  if (before[joint][2] && mode !== "free") return turnLimb(before, joint, x, y, figure, canvas);
  const next = copyPose(before);
  next[joint] = [...clampPoint(x, y, canvas), true]; // a hidden joint that is dragged is wanted back
  return next;
}

svg.addEventListener("dblclick", (event) => {
  const joint = jointUnder(event);
  if (joint >= 0 && !several) toggleHidden([joint]);
});

svg.addEventListener("pointermove", (event) => {
  if (!drag) return hover(event);
  if (event.pointerId !== drag.pointer) return;
  if (drag.kind === "view") return drawView(event);
  if (drag.kind === "lasso") return drawLasso(toCanvas(event));
  const next = dragged(drag, toCanvas(event));
  if (!next || samePose(next, joints)) return;
  joints = next;
  drag.narrow = false;
  if (!frame)
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
      if (drag) publish("drag");
    });
});

function drawView(event) {
  const { corner, box, at } = drag,
    unit = canvas[1] / view.zoom / box.width;
  pan(corner[0] - (event.clientX - at[0]) * unit, corner[1] - (event.clientY - at[1]) * unit);
}

function drawLasso([x, y]) {
  const [fx, fy] = drag.from,
    left = Math.min(x, fx),
    right = Math.max(x, fx),
    top = Math.min(y, fy),
    bottom = Math.max(y, fy);
  place(nodes.lasso, { x: left, y: top, width: right - left, height: bottom - top });
  const inside = joints.flatMap(([jx, jy, seen], index) => (seen && jx >= left && jx <= right && jy >= top && jy <= bottom ? [index] : []));
  drag.caught = true;
  select([...drag.kept, ...inside]);
}

function hover(event) {
  const joint = event.pointerType === "mouse" ? jointUnder(event) : -1;
  if (joint !== near) {
    near = joint;
    svg.style.cursor = near < 0 ? "" : "grab";
    draw();
  }
}

svg.addEventListener("pointerleave", () => {
  if (!drag && near >= 0) {
    near = -1;
    draw();
  }
});

function drop(keep) {
  if (!drag) return;
  const { before, pointer, kind, joint, kept, caught, narrow } = drag;
  if (caught && selected.size) nodes.dots[[...selected][0]].focus({ preventScroll: true }); // so that the arrow keys move them
  drag = null;
  if (frame) {
    cancelAnimationFrame(frame);
    frame = 0;
  }
  if (svg.hasPointerCapture(pointer)) svg.releasePointerCapture(pointer);
  stage.classList.remove("pe-dragging");
  const changed = !samePose(before, joints);
  if (keep) remember();
  else {
    joints = before;
    held = -1;
  }
  if (changed || moving) publish("release"); // also there and back again: the preview must not stay
  if (kind === "lasso" && !caught) selected = new Set(kept);
  if (narrow && keep) selected = new Set(several ? [...selected].filter((each) => each !== joint) : [joint]);
  draw();
}

svg.addEventListener("pointerup", (event) => {
  if (event.pointerId === drag?.pointer) drop(true);
});
svg.addEventListener("pointercancel", (event) => {
  if (event.pointerId === drag?.pointer) drop(false);
});

svg.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the plain wheel scrolls the page
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-event.deltaY / 300), ...toCanvas(event));
  },
  { passive: false },
);

// A finger on a joint must not scroll the page, whatever the browser makes of touch-action inside an SVG.
svg.addEventListener(
  "touchmove",
  (event) => {
    if (drag) event.preventDefault();
  },
  { passive: false },
);

// Two fingers zoom and move the view. What the first one had begun is taken back.
let pinch = null; // { apart, zoom, point }: at the start, how far apart the fingers were, the zoom, and what lay between them

/** Two fingers on the editor, whatever joint each of them is on: how far apart they are and what lies between them; else null. */
function fingers({ touches }) {
  const [a, b, third] = [...touches].filter(({ target }) => svg.contains(target));
  if (!b || third) return null;
  return {
    apart: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1,
    clientX: (a.clientX + b.clientX) / 2,
    clientY: (a.clientY + b.clientY) / 2,
  };
}

svg.addEventListener(
  "touchstart",
  (event) => {
    const now = fingers(event);
    if (!now) return;
    event.preventDefault();
    drop(false);
    pinch = { apart: now.apart, zoom: view.zoom, point: toCanvas(now) };
  },
  { passive: false },
);

svg.addEventListener(
  "touchmove",
  (event) => {
    const now = pinch && fingers(event);
    if (!now) return;
    event.preventDefault();
    zoomTo((pinch.zoom * now.apart) / pinch.apart);
    const [x, y] = toCanvas(now); // what lies between the fingers now; what lay there at the start belongs there
    pan(view.x + pinch.point[0] - x, view.y + pinch.point[1] - y);
  },
  { passive: false },
);

for (const end of ["touchend", "touchcancel"])
  svg.addEventListener(end, (event) => {
    if (!fingers(event)) pinch = null;
  });
