// The same objects in JavaScript, without Python: node plain.js <number of models> <sample.json>
'use strict';
const fs = require('fs');
const { ApiObject, App, Chart, JsonPatch } = require('cdk8s');

const [count, file] = process.argv.slice(2);
const sample = fs.readFileSync(file, 'utf8');
const app = new App();
const chart = new Chart(app, 'bench', { namespace: 'llm' });
for (let i = 0; i < Number(count); i++) {
  JSON.parse(sample.replaceAll('model-0', `model-${i}`)).forEach((manifest, j) => {
    const { apiVersion, kind, metadata, spec } = manifest;
    const made = new ApiObject(chart, `object-${i}-${j}`, { apiVersion, kind, metadata });
    made.addJsonPatch(JsonPatch.add('/spec', spec));
  });
}
app.synth();
