"""The same objects by hand, as ApiObjects: `python plain.py <number of models> <sample.json>`."""

import json
import sys
from pathlib import Path

from cdk8s import ApiObject, ApiObjectMetadata, App, Chart, JsonPatch

count, sample = int(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8")
app = App()
chart = Chart(app, "bench", namespace="llm")
for i in range(count):
    for j, manifest in enumerate(json.loads(sample.replace("model-0", f"model-{i}"))):
        metadata = manifest["metadata"]
        made = ApiObject(
            chart,
            f"object-{i}-{j}",
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata=ApiObjectMetadata(name=metadata["name"], labels=metadata.get("labels")),
        )
        made.add_json_patch(JsonPatch.add("/spec", manifest["spec"]))
app.synth()
