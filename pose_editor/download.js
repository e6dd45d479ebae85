// Hands a file that Python made to the browser's download list. The value is { name, url, n }; it shows nothing.
watch("value", () => {
  if (!props.value?.url) return;
  window.dispatchEvent(new Event("download-ready"));
  Object.assign(document.createElement("a"), { href: props.value.url, download: props.value.name }).click();
});
