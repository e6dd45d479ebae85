// Which of the people in a photo is meant: the photo with a button around everybody. The value is { person: k }.

const dialog = element.querySelector(".pc-root");
const picture = element.querySelector(".pc-photo");
const boxes = element.querySelector(".pc-boxes");
const share = (number) => `${100 * number}%`;

function boxOf([left, top, right, bottom], index) {
  const box = Object.assign(document.createElement("button"), { type: "button", className: "pc-box" });
  box.setAttribute("aria-label", `Person ${index + 1} of ${props.boxes.length}, from the left`);
  Object.assign(box.style, { left: share(left), top: share(top), width: share(right - left), height: share(bottom - top) });
  const number = Object.assign(document.createElement("span"), { textContent: index + 1 });
  box.append(number);
  box.addEventListener("click", () => {
    dialog.close();
    props.value = { person: index };
    trigger("choose");
  });
  return box;
}

/** Python sent a photo: open. Of boxes that overlap the smaller one lies above, or it could not be pressed. */
function open() {
  if (!props.photo || !props.value.n) return;
  picture.src = props.photo;
  boxes.replaceChildren(...props.boxes.map(boxOf));
  const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
  [...boxes.children].forEach((box, index) => (box.style.zIndex = 100 - Math.round(99 * area(props.boxes[index]))));
  if (!dialog.open) dialog.showModal();
  boxes.firstElementChild.focus({ preventScroll: true });
}

element.querySelector(".pc-cancel").addEventListener("click", () => dialog.close());
watch(["photo", "value"], open);
