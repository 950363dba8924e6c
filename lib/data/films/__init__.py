"""One film: decoded from PNG, JPEG, TIFF or DICOM, refused when unusable, brought to a square."""
