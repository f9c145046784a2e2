import type { FastifySchemaValidationError, SchemaErrorFormatter } from 'fastify/types/schema.js';
import { describeValue } from '../../domain/shared/describe-value.js';
import { excerpt } from '../../domain/shared/text.js';
import { invalidRequest } from './failures.js';

interface ObjectSchema {
  properties: Readonly<Record<string, { readonly description?: string }>>;
}

/** Validates the body, and names the member that is wrong. */
export function validBody<Schema extends ObjectSchema>(body: Schema) {
  return { schema: { body }, schemaErrorFormatter: formatterOf(body) };
}

/** Validates the query, and names the parameter that is wrong. */
export function validQuery<Schema extends ObjectSchema>(querystring: Schema) {
  return { schema: { querystring }, schemaErrorFormatter: formatterOf(querystring) };
}

export function validBodyAndQuery<Body extends ObjectSchema, Query extends ObjectSchema>(
  body: Body,
  querystring: Query,
) {
  const [ofBody, ofQuery] = [formatterOf(body), formatterOf(querystring)];
  const schemaErrorFormatter: SchemaErrorFormatter = (errors, part) =>
    (part === 'body' ? ofBody : ofQuery)(errors, part);
  return { schema: { body, querystring }, schemaErrorFormatter };
}

/** For Ajv: takes requests as they are, and keeps what the messages below need. */
export const AJV_OPTIONS = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  allErrors: false,
  verbose: true,
  strict: true,
  allowUnionTypes: true,
} as const;

function formatterOf({ properties }: ObjectSchema): SchemaErrorFormatter {
  return ([error]) => {
    const { keyword, params, instancePath, data } = error as FastifySchemaValidationError & {
      data?: unknown;
    };
    if (keyword === 'additionalProperties') {
      const member = String(params.additionalProperty);
      const known = Object.keys(properties).join(', ');
      return invalidRequest(member, `The member '${excerpt(member)}' is unknown. Expected: ${known}.`);
    }
    if (keyword === 'required') {
      const member = String(params.missingProperty);
      return invalidRequest(member, `The ${member} is missing; expected ${properties[member]?.description}.`);
    }
    const [, member = ''] = instancePath.split('/');
    const expected = properties[member]?.description ?? 'an object';
    return invalidRequest(member, `The ${member} is ${describeValue(data)}; expected ${expected}.`);
  };
}
