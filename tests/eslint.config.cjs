/* eslint.config.cjs - what must not be in a script; see javascript.sh */
/* SPDX-License-Identifier: MIT */
'use strict';

const js = require('@eslint/js');
const globals = require('globals');

module.exports = [
  js.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-else-return': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-shadow': 'error',
      'no-throw-literal': 'error',
      'no-use-before-define': ['error', { functions: false }],
      'no-var': 'error',
      'prefer-const': 'error',
      strict: 'error',
    },
  },
  {
    files: ['submit/page/*.js'],
    languageOptions: { sourceType: 'module', globals: globals.browser },
  },
  {
    files: ['tests/**/*.mjs'],
    languageOptions: { sourceType: 'module', globals: globals.node },
  },
  {
    // Functions that are handed to evaluate() are called in the page.
    files: ['tests/e2e/*.js', 'tests/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { ...globals.browser, ...globals.node },
    },
  },
];
