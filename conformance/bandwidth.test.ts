import { playArea } from './harness/play-area.ts'

playArea('bandwidth')
