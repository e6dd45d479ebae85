// --- the pose of another photo -------------------------------------------------------------------------------------
// A photo chosen, dropped or pasted in the dialog goes to the upload button that the page has for it; Python answers in props.taken
// with the poses of the people in it, and the one meant is fitted to the body, as a preset is.

const TAKING = ".pose-photo [type=file]";
const takeDialog = element.querySelector(".pe-take");
const dropzone = element.querySelector(".pe-dropzone");

function take(file) {
  takeDialog.close();
  say(`Looking for the pose in ${file.name}…`);
  home.dispatchEvent(new CustomEvent("photo-for", { detail: { file, input: TAKING } }));
}

async function transfer(found) {
  const answer = await ask("transfer_pose", { found, joints: rest });
  if (answer.error) return say(answer.error, true);
  open("poses");
  usePose(answer.joints);
}

element.querySelector(".pe-from-photo").addEventListener("click", () => takeDialog.showModal());
element.querySelector(".pe-cancel").addEventListener("click", () => takeDialog.close());
element.querySelector(".pe-choose").addEventListener("click", () => {
  const input = home.querySelector(TAKING);
  input.addEventListener("change", () => takeDialog.close(), { once: true });
  input.click();
});
takeDialog.addEventListener("dragover", (event) => {
  event.preventDefault();
  dropzone.classList.add("pe-over");
});
takeDialog.addEventListener("dragleave", () => dropzone.classList.remove("pe-over"));
takeDialog.addEventListener("drop", (event) => {
  event.preventDefault();
  dropzone.classList.remove("pe-over");
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  if (!file || !takeDialog.open) return;
  event.preventDefault(); // it is not a photo to be posed
  take(file);
});

watch("taken", () => {
  const { people, error } = props.taken ?? {};
  if (error) say(error, true);
  else if (people?.length === 1) transfer(people[0]);
  else if (people) {
    say("");
    choosePerson(people, transfer);
  }
});
