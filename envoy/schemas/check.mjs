// Holds Kubernetes files against the schemas of their kinds: node check.mjs FILE...
//
// The schemas are those that the npm packages beside this file were generated from: Istio's published CRDs, Envoy Gateway's Go types. Kubernetes drops a key that a
// schema does not have and says nothing, so such a key is a fault here. What a schema leaves open (the filter's configuration, Envoy's) is not looked into.
// Prints each fault and ends with 1 if there is one. Never writes anything.

import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

const ISTIO = "@kubernetes-models/istio/_schemas";
const ENVOY_GATEWAY = "@kubernetes-models/envoy-gateway/_schemas/ComGithubEnvoyproxyGatewayApiV1alpha1";

// By apiVersion and kind: the schema, and the places whose content it leaves open.
const KINDS = {
  "extensions.istio.io/v1alpha1 WasmPlugin": [`${ISTIO}/ExtensionsIstioIoV1alpha1WasmPlugin`, ["/spec/pluginConfig"]],
  "networking.istio.io/v1 ServiceEntry": [`${ISTIO}/NetworkingIstioIoV1ServiceEntry`, []],
  "networking.istio.io/v1 DestinationRule": [`${ISTIO}/NetworkingIstioIoV1DestinationRule`, []],
  "gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy": [`${ENVOY_GATEWAY}EnvoyExtensionPolicy`, ["/spec/wasm/0/config"]],
  "gateway.envoyproxy.io/v1alpha1 EnvoyPatchPolicy": [`${ENVOY_GATEWAY}EnvoyPatchPolicy`, ["/spec/jsonPatches/0/operation/value"]],
};

/** `value`, with a note of every key that is read, at any depth. */
function watched(value, path, notes) {
  if (value === null || typeof value !== "object") return value;
  const note = { path, value, read: new Set() };
  const children = new Map();
  notes.push(note);
  return new Proxy(value, {
    get(target, key) {
      note.read.add(key);
      if (!Object.hasOwn(target, key)) return target[key];
      if (!children.has(key)) children.set(key, watched(target[key], `${path}/${String(key)}`, notes));
      return children.get(key);
    },
  });
}

/** Keys that the schema's validator never asked for: it does not know them. */
function unknownKeys(notes, open) {
  return notes
    .filter((note) => !open.some((place) => note.path === place || note.path.startsWith(`${place}/`)))
    .flatMap((note) => Object.keys(note.value).filter((key) => !note.read.has(key)).map((key) => `${note.path}/${key}`));
}

async function faults(document) {
  const kind = `${document.apiVersion} ${document.kind}`;
  if (!KINDS[kind]) return [`no schema for ${kind}`];
  const [module, open] = KINDS[kind];
  const { validate } = await import(new URL(`${module}.js`, new URL("node_modules/", import.meta.url)));
  const notes = [];
  const valid = validate(watched(document, "", notes));
  const broken = valid ? [] : validate.errors.map((error) => `${error.instancePath || "/"} ${error.keyword} ${JSON.stringify(error.params)}`);
  return broken.concat(unknownKeys(notes, open).map((path) => `${path} is not in the schema`));
}

let failed = false;
for (const file of process.argv.slice(2)) {
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    if (document.errors.length > 0) throw document.errors[0];
    const value = document.toJS();
    const found = await faults(value);
    failed ||= found.length > 0;
    console.log(`${file} ${value.kind} ${value.metadata?.name}: ${found.length === 0 ? "ok" : ""}`);
    for (const fault of found) console.log(`  ${fault}`);
  }
}
process.exitCode = failed ? 1 : 0;
