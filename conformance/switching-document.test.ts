import { testDocument } from './harness/document-test.ts'

testDocument('docs/switching.md')
