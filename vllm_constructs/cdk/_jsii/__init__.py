"""The jsii module of the objects: `index.ts`, and its compiled form as jsii loads it."""
