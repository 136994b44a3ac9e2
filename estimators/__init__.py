"""Image and boxes to joints: one network per file, crops and decoding beside them."""
