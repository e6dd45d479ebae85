// Hands a file that Python made to the browser's download list. The value is { name, url, n }, or { said } before there is a
// file or when there will be none. It shows nothing itself.
watch("value", () => {
  if (!props.value) return;
  home.dispatchEvent(new CustomEvent("download-said", { detail: props.value.said ?? "" }));
  if (!props.value.url) return;
  Object.assign(document.createElement("a"), { href: props.value.url, download: props.value.name }).click();
});
