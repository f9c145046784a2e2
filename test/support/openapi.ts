import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { FastifyInstance } from 'fastify';

// biome-ignore lint/suspicious/noExplicitAny: a document that the tests look into
type Document = any;

export async function openApiOf(app: FastifyInstance): Promise<Document> {
  return (await app.inject('/openapi.json')).json();
}

/** Compiles a schema of the document. Strict: an unknown keyword or format is an error. */
export function compiled(document: Document, schema: object): ValidateFunction {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false });
  return ajv.compile(resolved(document, schema));
}

/** Replaces references into the document by what they name. */
function resolved(document: Document, schema: object): object {
  const text = JSON.stringify(schema).replace(/\{"\$ref":"#\/components\/schemas\/(\w+)"\}/g, (_, name) =>
    JSON.stringify(document.components.schemas[name]),
  );
  return JSON.parse(text);
}

/**
 * Compares every answer of the app with its OpenAPI document: the status must be listed, and the body fit its schema.
 * Returns what does not fit.
 */
export function checkResponses(app: FastifyInstance): string[] {
  const violations: string[] = [];
  let document: Promise<Document> | undefined;
  app.addHook('onSend', async (request, reply, payload) => {
    const { method, routeOptions } = request;
    const { url = '' } = routeOptions;
    // The discovery documents have further paths, which depend on the issuer.
    const isListed = url !== '' && url !== '/openapi.json' && !url.startsWith('/.well-known/o');
    if (method === 'HEAD' || !isListed) return;
    document ??= openApiOf(app);
    const { paths } = await document;
    const where = `${method} ${url} ${reply.statusCode}`;
    const operation = paths[url.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
    const response = operation?.responses[reply.statusCode];
    if (response === undefined) return void violations.push(`${where} is not in the document`);
    const schema = response.content?.['application/json']?.schema;
    if (schema === undefined) return;
    const validate = compiled(await document, schema);
    if (!validate(JSON.parse(String(payload))))
      violations.push(`${where}: ${JSON.stringify(validate.errors)} in ${String(payload)}`);
  });
  return violations;
}
