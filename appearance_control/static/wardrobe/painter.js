// --- the dialog in which a mask is painted on the photo -------------------------------------------------------------

const dialog = element.querySelector(".wa-dialog");
const board = element.querySelector(".wa-stage");
const paper = element.querySelector(".wa-canvas");
const ring = element.querySelector(".wa-ring");
const brushSize = element.querySelector(".wa-size");
const undo = element.querySelector(".wa-undo");
const brushes = [...element.querySelectorAll("[data-brush]")];
const ink = paper.getContext("2d", { willReadFrequently: true });
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const UNDO = 30;
const [boardHeight, boardWidth] = props.canvas;
Object.assign(paper, { width: boardWidth, height: boardHeight });
board.style.aspectRatio = `${boardWidth} / ${boardHeight}`;
let painted = -1; // the row it is for
let past = []; // what was painted before each stroke
let brushAt = [boardWidth / 2, boardHeight / 2]; // on the canvas
let stroke = null; // the pointer that paints
let down = false; // the keyboard's brush is down
let asFound = false; // what is painted is what was recognised, and nothing else

const erasing = () => brushes[1].getAttribute("aria-checked") === "true";
const all = () => ink.getImageData(0, 0, boardWidth, boardHeight);
const where = (event) => {
  const box = board.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * boardWidth, ((event.clientY - box.top) / box.height) * boardHeight];
};

function drawBrush() {
  const size = `${(100 * brushSize.value) / boardWidth}%`;
  Object.assign(ring.style, {
    left: `${(100 * brushAt[0]) / boardWidth}%`,
    top: `${(100 * brushAt[1]) / boardHeight}%`,
    width: size,
    aspectRatio: 1,
    borderStyle: down ? "solid" : "dashed",
  });
}

function remember() {
  past.push(all());
  asFound = false;
  if (past.length > UNDO) past.shift();
  undo.disabled = false;
}

function line([x0, y0], [x1, y1]) {
  Object.assign(ink, {
    globalCompositeOperation: erasing() ? "destination-out" : "source-over",
    strokeStyle: "#4f46e5",
    lineWidth: Number(brushSize.value),
    lineCap: "round",
  });
  ink.beginPath();
  ink.moveTo(x0, y0);
  ink.lineTo(x1 + 0.01, y1); // a press without a move is a dot
  ink.stroke();
}

function moveBrush(to, painting) {
  if (painting) line(brushAt, to);
  brushAt = to;
  drawBrush();
}

board.addEventListener("pointerdown", (event) => {
  if (stroke !== null || event.button) return;
  stroke = event.pointerId;
  board.setPointerCapture(stroke);
  remember();
  brushAt = where(event);
  moveBrush(brushAt, true);
  event.preventDefault();
  board.focus({ preventScroll: true });
});
board.addEventListener("pointermove", (event) => {
  if (stroke !== null && event.pointerId !== stroke) return;
  moveBrush(where(event), stroke !== null);
});
for (const end of ["pointerup", "pointercancel"])
  board.addEventListener(end, (event) => {
    if (event.pointerId === stroke) stroke = null;
  });

board.addEventListener("keydown", (event) => {
  const move = MOVES[event.key],
    step = event.shiftKey ? 16 : 4;
  if (move)
    moveBrush(
      [brushAt[0] + step * move[0], brushAt[1] + step * move[1]].map((at, axis) =>
        Math.min(Math.max(at, 0), axis ? boardHeight : boardWidth),
      ),
      down,
    );
  else if (event.key === " ") {
    down = !down;
    if (down) {
      remember();
      moveBrush(brushAt, true);
    }
    drawBrush();
  } else if ("+=-".includes(event.key)) {
    brushSize.value = Number(brushSize.value) + (event.key === "-" ? -2 : 2);
    drawBrush();
  } else return;
  event.preventDefault();
});
dialog.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    takeBack();
    event.preventDefault();
  }
  event.stopPropagation(); // the page behind has keys of its own
});

brushSize.addEventListener("input", drawBrush);
brushes.forEach((each, index) => {
  each.addEventListener("click", () => pick(index));
  each.addEventListener("keydown", (event) => {
    if (event.key in MOVES) {
      pick(1 - index);
      brushes[1 - index].focus();
      event.preventDefault();
    }
  });
});

function pick(index) {
  brushes.forEach((each, place) => {
    each.setAttribute("aria-checked", place === index);
    each.tabIndex = place === index ? 0 : -1;
  });
}

function takeBack() {
  if (past.length) ink.putImageData(past.pop(), 0, 0);
  asFound = false;
  undo.disabled = !past.length;
}

undo.addEventListener("click", takeBack);
element.querySelector(".wa-clear").addEventListener("click", () => {
  remember();
  ink.clearRect(0, 0, boardWidth, boardHeight);
});

/** A mask as Python sends it, or as it was painted before, onto the canvas. */
async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  ink.globalCompositeOperation = "source-over";
  ink.clearRect(0, 0, boardWidth, boardHeight);
  ink.drawImage(image, 0, 0, boardWidth, boardHeight);
}

element.querySelector(".wa-found").addEventListener("click", () => {
  remember();
  asFound = true;
  load(foundFor(rows[painted]));
});

async function openPainter(index) {
  const row = rows[index],
    person = personOf(row),
    mask = row.mask || foundFor(row);
  painted = index;
  asFound = !row.mask && !!mask;
  past = [];
  undo.disabled = true;
  down = false;
  stroke = null;
  pick(0);
  const photo = element.querySelector(".wa-photo");
  Object.assign(photo, { src: person.picture, alt: `Photo: ${person.title}` });
  element.querySelector(".wa-found").hidden = !foundFor(row);
  ink.clearRect(0, 0, boardWidth, boardHeight);
  if (mask) await load(mask);
  drawBrush();
  dialog.showModal();
  board.focus({ preventScroll: true });
}

element.querySelector(".wa-cancel").addEventListener("click", () => dialog.close());
element.querySelector(".wa-done").addEventListener("click", () => {
  dialog.close();
  const mask = asFound ? "" : paper.toDataURL("image/png");
  if (mask !== rows[painted].mask) set(painted, { mask });
});
dialog.addEventListener("close", () => list.children[painted]?.querySelector(".wa-look").focus());
