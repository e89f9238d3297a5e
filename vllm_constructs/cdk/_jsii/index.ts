import { ApiObject, Chart, JsonPatch } from 'cdk8s';
import { Construct, IConstruct } from 'constructs';
import { writeFileSync } from 'fs';

// Python sees another object each time that a construct comes back to it.
const numbers = new WeakMap<IConstruct, number>();
let last = 0;

function numberOf(construct: IConstruct): number {
  const found = numbers.get(construct) ?? ++last;
  numbers.set(construct, found);
  return found;
}

/**
 * An ApiObject whose body, all but apiVersion, kind and metadata, can be replaced.
 *
 * The body is added by patches, so that its keys keep their order: cdk8s sorts properties. An object
 * that is in no namespace has null for it: left out, cdk8s takes the chart's.
 */
export class ManifestObject extends ApiObject {
  /** The child of a construct with an id. */
  public static child(scope: Construct, id: string): ManifestObject {
    return scope.node.findChild(id) as ManifestObject;
  }

  private readonly body: { [field: string]: any };
  private isPatched = false;
  private made?: any;

  public constructor(scope: Construct, id: string, manifest: { [field: string]: any }) {
    const { apiVersion, kind, metadata, ...body } = manifest;
    super(scope, id, { apiVersion, kind, metadata });
    this.body = body;
    for (const [field, value] of Object.entries(body)) {
      this.addJsonPatch(JsonPatch.add(`/${field}`, value));
    }
    if (metadata.namespace === null && this.metadata.namespace !== undefined) {
      this.addJsonPatch(JsonPatch.remove('/metadata/namespace'));
    }
    this.isPatched = false;
  }

  /** Applies patches after all that this library says. */
  public addJsonPatch(...ops: JsonPatch[]): void {
    super.addJsonPatch(...ops);
    this.isPatched = true;
  }

  /** The manifest; right after a check of it that which was checked. */
  public toJson(): any {
    const made = this.made;
    this.made = undefined;
    return made ?? super.toJson();
  }

  /**
   * Keeps the manifest for the next rendering, or forgets it.
   *
   * @internal
   */
  public _keep(manifest?: any): void {
    this.made = manifest;
  }

  /**
   * Whether the body is what this library has given.
   *
   * @internal
   */
  public get _isOwn(): boolean {
    return !this.isPatched;
  }

  /**
   * Replaces fields of the body; patches that others have added stay, and apply to the new values.
   *
   * @internal
   */
  public _replace(manifest: { [field: string]: any }): void {
    for (const [field, old] of Object.entries(this.body)) {
      if (field in manifest) {
        // The patch has this object, so it is emptied and filled.
        Object.keys(old).forEach(key => delete old[key]);
        Object.assign(old, manifest[field]);
      }
    }
  }
}

// What cdk8s-plus asks a model. jsii puts Python's methods in their place where cdk8s-plus was loaded
// before the model was made; it takes interfaces of loaded libraries only.
const ASKED = [
  'markHasAutoscaler', 'toScalingTarget', 'toPodSelector', 'toPodSelectorConfig',
  'toNetworkPolicyPeerConfig',
];

/**
 * A construct with objects, all of which one call makes.
 */
export class Manifests extends Construct {
  /** The chart of a construct: what its constructs are told, as a JSON object. */
  public static chart(construct: Construct, contextKey: string): string {
    const chart = Chart.of(construct);
    return JSON.stringify({
      number: numberOf(chart),
      app: numberOf(chart.node.root),
      namespace: chart.namespace,
      labels: chart.labels,
      context: chart.node.tryGetContext(contextKey),
    });
  }

  /** The number of a construct, which is the same whenever Python asks. */
  public static number(construct: Construct): number {
    return numberOf(construct);
  }

  /**
   * Writes all objects below a construct into a file: a JSON array of arrays of path, whether the
   * body is what this library has given, and manifest. A file takes a third of a message's time.
   */
  public static all(construct: Construct, file: string): void {
    const found = construct.node.findAll().filter(ApiObject.isApiObject) as ApiObject[];
    Manifests.forget(construct);
    writeFileSync(file, JSON.stringify(found.map(object => {
      const manifest = object.toJson();
      // It takes long to make, and is written next.
      (object as ManifestObject)._keep?.(manifest);
      const isOwn = (object as ManifestObject)._isOwn === true;
      return [object.node.path, isOwn, object.chart.node.path, manifest];
    })));
  }

  /** Forgets the manifests that were kept, since they may change before they are written. */
  public static forget(construct: Construct): void {
    construct.node.findAll().forEach(one => (one as ManifestObject)._keep?.());
  }

  /** Adds objects to a construct: a JSON object of manifests by id. */
  public static add(construct: Construct, manifests: string): void {
    for (const [id, manifest] of Object.entries<any>(JSON.parse(manifests))) {
      new ManifestObject(construct, id, manifest);
    }
  }

  /**
   * Replaces bodies and adds annotations: a JSON array with an object of manifests by id for each
   * construct, of which no other metadata is used.
   */
  public static replace(constructs: Construct[], manifests: string): void {
    const all: { [id: string]: any }[] = JSON.parse(manifests);
    constructs.forEach((construct, i) => {
      for (const [id, manifest] of Object.entries(all[i])) {
        const child = construct.node.tryFindChild(id);
        if (child === undefined) {
          continue; // The user has removed it, and may have one of their own instead.
        }
        const found = ApiObject.of(child);
        for (const [key, value] of Object.entries<string>(manifest.metadata?.annotations ?? {})) {
          found.metadata.addAnnotation(key, value);
        }
        (found as ManifestObject)._replace?.(manifest);
      }
    });
  }

  public constructor(
    scope: Construct, id: string, manifests: string, changed: Construct[], replaced: string,
  ) {
    super(scope, id);
    for (const name of ASKED) {
      Object.defineProperty(this, name, {
        configurable: true,
        value: () => {
          throw new Error(
            `${this.node.path} was made before cdk8s-plus was loaded, which asks it now; ` +
            'import cdk8s_plus_27 before you make a model.',
          );
        },
      });
    }
    Manifests.add(this, manifests);
    Manifests.replace(changed, replaced);
  }
}
