import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['npm/**', 'test/dependents/**', '**/*.d.ts', '**/*.d.mts', 'test/types/**'] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, sourceType: 'commonjs', globals: globals.node },
    rules: {
      'no-unused-vars': ['error', { args: 'none', caughtErrors: 'none', ignoreRestSiblings: true }],
    },
  },
  { files: ['**/*.mjs'], languageOptions: { sourceType: 'module' } },
  { files: ['lib/browser.js', 'test/examples.test.js'], languageOptions: { globals: globals.browser } },
];
