import { testDocument } from './harness/document-test.ts'

testDocument('docs/operating.md')
