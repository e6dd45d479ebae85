// One button: Refine, and Stop while it goes on. The value is { running, says }.
const root = element.querySelector(".rf-root"), go = root.querySelector(".rf-go"), says = root.querySelector(".rf-says");

function draw() {
  root.classList.toggle("rf-running", props.value.running);
  go.textContent = props.value.running ? "Stop" : "Refine";
  says.textContent = props.value.says;
}

go.addEventListener("click", () => {
  if (props.value.running) return trigger("stop");
  props.value = { running: true, says: "Refining…" };
  draw();
  trigger("refine");
});

watch("value", draw);
draw();
