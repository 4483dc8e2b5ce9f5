//! Leads imports of the router's interfaces to their doubles.

const INTERFACE = /^hookmill:plugin\/([a-z]+)@1\.0\.0$/;

export function resolve(specifier, context, next) {
  const found = INTERFACE.exec(specifier);
  if (!found) return next(specifier, context);
  return { url: new URL("./router.js", import.meta.url).href + `?${found[1]}`, shortCircuit: true };
}

/** Each interface is a module of its own, with the functions under their names and as the default. */
export async function load(url, context, next) {
  const { searchParams, pathname } = new URL(url);
  const [name] = searchParams.keys();
  if (name === undefined || !pathname.endsWith("/testing/router.js")) return next(url, context);
  const source = `
    import { interfaces } from ${JSON.stringify(url.split("?")[0])};
    export default interfaces.${name};
    export const { Request, NewEvent, Reply } = interfaces.${name};
  `;
  return { format: "module", source, shortCircuit: true };
}
