/**
 * All keys of the page, in one table: keyboard.js binds it, the help shows it, and docs/how-to/view.md is checked against
 * it. What stands in the brackets is JSON. `mode: joints` holds while joints are moved, and goes first then.
 *
 * @typedef {{group: string, keys: string[], action: string, does: string, mode?: string, edits?: boolean}} Key
 */

/** @type {Key[]} */
export const KEYS = [
  {"group": "Frames", "keys": ["Left", "D", ","], "action": "stepBack", "does": "1 frame back"},
  {"group": "Frames", "keys": ["Right", "F", "."], "action": "stepOn", "does": "1 frame on"},
  {"group": "Frames", "keys": ["Shift+Left", "Shift+D"], "action": "stepBack10", "does": "10 frames back"},
  {"group": "Frames", "keys": ["Shift+Right", "Shift+F"], "action": "stepOn10", "does": "10 frames on"},
  {"group": "Frames", "keys": ["Ctrl+Left", "PageUp"], "action": "stepBack100", "does": "100 frames back"},
  {"group": "Frames", "keys": ["Ctrl+Right", "PageDown"], "action": "stepOn100", "does": "100 frames on"},
  {"group": "Frames", "keys": ["Home"], "action": "first", "does": "first frame"},
  {"group": "Frames", "keys": ["End"], "action": "last", "does": "last frame"},
  {"group": "Frames", "keys": ["B"], "action": "begin", "does": "where the selected person begins"},
  {"group": "Frames", "keys": ["E"], "action": "end", "does": "where the selected person ends"},
  {"group": "Frames", "keys": ["G"], "action": "goTo", "does": "go to a frame by its number"},
  {"group": "Frames", "keys": ["Space"], "action": "play", "does": "play or pause"},
  {"group": "Frames", "keys": ["["], "action": "slower", "does": "slower"},
  {"group": "Frames", "keys": ["]"], "action": "faster", "does": "faster"},

  {"group": "Suspects", "keys": ["N"], "action": "nextSuspect", "does": "next open suspect"},
  {"group": "Suspects", "keys": ["P"], "action": "previousSuspect", "does": "previous open suspect"},
  {"group": "Suspects", "keys": ["A"], "action": "fine", "does": "nothing is wrong here", "edits": true},
  {"group": "Suspects", "keys": ["C"], "action": "checked", "does": "checked up to this frame", "edits": true},

  {"group": "People", "keys": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "action": "digit", "does": "select by number"},
  {"group": "People", "keys": ["W", "Tab"], "action": "nextPerson", "does": "next person (Tab: in the picture)"},
  {"group": "People", "keys": ["Shift+W", "Shift+Tab"], "action": "previousPerson", "does": "previous person"},
  {"group": "People", "keys": ["X"], "action": "swap", "does": "swap with another person from here on", "edits": true},
  {"group": "People", "keys": ["Shift+X"], "action": "swapHere", "does": "swap in this frame only", "edits": true},
  {"group": "People", "keys": ["M"], "action": "join", "does": "join with another person: they are one", "edits": true},
  {"group": "People", "keys": ["S"], "action": "split", "does": "split: a new person from here on", "edits": true},
  {"group": "People", "keys": ["R"], "action": "rename", "does": "name the person", "edits": true},
  {"group": "People", "keys": ["Del", "Backspace"], "action": "remove", "does": "remove from here on", "edits": true},
  {"group": "People", "keys": ["Shift+Del", "Shift+Backspace"], "action": "removeHere", "does": "remove in this frame only", "edits": true},
  {"group": "People", "keys": ["+"], "action": "add", "does": "add a person who was missed", "edits": true},

  {"group": "Joints", "keys": ["J"], "action": "joints", "does": "move joints: drag them", "edits": true},
  {"group": "Joints", "keys": ["Tab", "W"], "action": "nextJoint", "does": "next joint", "mode": "joints"},
  {"group": "Joints", "keys": ["Shift+Tab", "Shift+W"], "action": "previousJoint", "does": "previous joint", "mode": "joints"},
  {"group": "Joints", "keys": ["Left", "Right", "Up", "Down"], "action": "nudge", "does": "move the joint by 1 pixel", "mode": "joints"},
  {"group": "Joints", "keys": ["Shift+Left", "Shift+Right", "Shift+Up", "Shift+Down"], "action": "nudge10", "does": "move the joint by 10 pixels", "mode": "joints"},
  {"group": "Joints", "keys": ["V"], "action": "hideJoint", "does": "hide the joint: it cannot be seen", "edits": true},
  {"group": "Joints", "keys": ["L"], "action": "flip", "does": "exchange left and right", "edits": true},

  {"group": "View", "keys": ["Z"], "action": "zoom", "does": "zoom to the selected person, or out again"},
  {"group": "View", "keys": ["H"], "action": "hideSkeletons", "does": "hide or show skeletons"},
  {"group": "View", "keys": ["T"], "action": "trails", "does": "hide or show trails"},
  {"group": "View", "keys": ["I"], "action": "names", "does": "hide or show labels"},
  {"group": "View", "keys": ["O"], "action": "dim", "does": "dim the other people"},

  {"group": "Changes", "keys": ["Enter"], "action": "confirm", "does": "apply the change described"},
  {"group": "Changes", "keys": ["Esc"], "action": "cancel", "does": "cancel; then leave joints, suspect, selection"},
  {"group": "Changes", "keys": ["Ctrl+Z"], "action": "undo", "does": "undo the last change", "edits": true},
  {"group": "Changes", "keys": ["Ctrl+Shift+Z", "Ctrl+Y"], "action": "redo", "does": "do it again", "edits": true},
  {"group": "Changes", "keys": ["?"], "action": "help", "does": "this help"}
];
