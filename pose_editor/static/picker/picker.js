// A row of people to choose from: a radio group of pictures. The value is the name of the chosen one, or null.

const PACE = 150; // ms between two choices that are sent

const root = element.querySelector(".pp-root");
let chosen = props.value;
let sent = -PACE; // when the last one was sent
let due = 0; // timer of one that waits

function build() {
  root.replaceChildren(
    ...props.choices.map((choice) => {
      const item = document.createElement("button");
      Object.assign(item, { type: "button", className: "pp-item", title: choice.title });
      item.setAttribute("role", "radio");
      item.setAttribute("aria-label", choice.title);
      item.dataset.name = choice.name;
      const picture = document.createElement("img");
      Object.assign(picture, { src: choice.picture, alt: "", draggable: false });
      item.append(picture);
      item.addEventListener("click", () => choose(choice.name));
      return item;
    }),
  );
}

function mark() {
  const items = [...root.children],
    place = items.findIndex((item) => item.dataset.name === chosen);
  items.forEach((item, index) => {
    item.setAttribute("aria-checked", index === place);
    item.tabIndex = index === Math.max(place, 0) ? 0 : -1; // one stop for Tab, arrows inside, as in any radio group
  });
}

function choose(name) {
  chosen = name;
  mark();
  clearTimeout(due);
  due = setTimeout(send, Math.max(sent + PACE - performance.now(), 0));
}

/** The first choice at once, and of a row of them the last: an arrow key held down makes dozens a second. */
function send() {
  sent = performance.now();
  props.value = chosen;
  trigger("select");
}

root.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...root.children],
    at = items.indexOf(event.target);
  const next = items[(at + step + items.length) % items.length];
  next.focus();
  choose(next.dataset.name);
});

build();
mark();
watch("choices", () => {
  build();
  mark();
});
watch("value", () => {
  chosen = props.value;
  clearTimeout(due);
  mark();
});
