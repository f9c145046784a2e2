import { describe, expect, test } from 'vitest';
import { narrowScope, scopesOf } from '../../../src/domain/tokens/scope.js';

describe('scopesOf', () => {
  test.each([
    ['a text', 'read  write', ['read', 'write']],
    ['an array', ['read', 1, 'write'], ['read', 'write']],
    ['no scope', undefined, []],
    ['a number', 7, []],
  ])('%s', (_, scope, expected) => {
    expect(scopesOf({ scope })).toEqual(expected);
  });
});

describe('narrowScope', () => {
  test('keeps the wanted scopes in the order of the claim, and all other claims', () => {
    expect(narrowScope({ scope: 'read write admin', role: 'x' }, 'admin read read')).toEqual({
      ...{ scope: 'read admin', role: 'x' },
    });
    expect(narrowScope({ scope: ['read', 'write'] }, 'write')).toEqual({ scope: ['write'] });
    expect(narrowScope({ scope: 'read write', scp: ['write'] }, 'read')).toEqual({ scope: 'read' });
  });

  test.each([
    ['a scope that the claim lacks', { scope: 'read' }, 'read write'],
    ['any scope without the claim', {}, 'read'],
    ['a part of a name', { scope: 'readonly' }, 'read'],
    ['a text without a name', { scope: 'read' }, ' '],
  ])('refuses %s', (_, claims, wanted) => {
    expect(() => narrowScope(claims, wanted)).toThrow(
      expect.objectContaining({ code: 'ERR_SCOPE_INVALID', kind: 'refused' }),
    );
  });
});
