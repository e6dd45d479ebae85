// The scripts of one component run one after another in one function (see pose_editor/widget.py), so each of them sees what the others
// declare. Which names those are is read from the scripts themselves: a name that no script declares is an error, and so is one that no
// script uses.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import js from "@eslint/js";
import { Linter } from "eslint";

const STATIC = ["pose_editor/static", "appearance_control/static"];
const COMPONENT = ["element", "home", "props", "server", "trigger", "watch"]; // what gr.HTML and pose_editor/widget.py give a script
const BROWSER = [
  ...["crypto", "document", "history", "localStorage", "queueMicrotask", "location", "matchMedia", "navigator", "performance", "window"],
  ...[
    "CustomEvent",
    "DataTransfer",
    "Event",
    "FileReader",
    "Image",
    "IntersectionObserver",
    "TextDecoder",
    "Option",
    "ResizeObserver",
    "URLSearchParams",
  ],
  ...["cancelAnimationFrame", "clearInterval", "clearTimeout", "requestAnimationFrame", "setInterval", "setTimeout"],
];
const LANGUAGE = { ecmaVersion: 2022, sourceType: "script", parserOptions: { ecmaFeatures: { globalReturn: true } } };

/** The names that a script declares for the others, and those that it takes from outside. */
function namesOf(path) {
  const linter = new Linter();
  const [error] = linter.verify(readFileSync(path, "utf8"), { languageOptions: LANGUAGE });
  if (error?.fatal) return { declared: [], used: [] }; // ESLint reports it when it comes to the script
  const { globalScope } = linter.getSourceCode().scopeManager;
  return {
    declared: globalScope.childScopes[0].variables.map((variable) => variable.name),
    used: globalScope.through.map((reference) => reference.identifier.name),
  };
}

function configOf(folder) {
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js"));
  const names = new Map(scripts.map((script) => [script, namesOf(join(folder, script))]));
  return scripts.map((script) => {
    const others = scripts.filter((other) => other !== script).map((other) => names.get(other));
    const declared = others.flatMap((other) => other.declared);
    const used = [...new Set(others.flatMap((other) => other.used))];
    return {
      files: [`${folder}/${script}`],
      languageOptions: { globals: Object.fromEntries(declared.map((name) => [name, "writable"])) },
      rules: {
        "no-unused-vars": ["error", { varsIgnorePattern: `^(${used.join("|")})$` }],
        "no-unassigned-vars": others.length ? "off" : "error", // another script may assign it
      },
    };
  });
}

const components = STATIC.flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`));

export default [
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: STATIC.map((folder) => `${folder}/**/*.js`),
    languageOptions: { ...LANGUAGE, globals: Object.fromEntries([...COMPONENT, ...BROWSER].map((name) => [name, "readonly"])) },
  },
  ...components.flatMap(configOf),
];
