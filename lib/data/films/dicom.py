"""One radiograph from a DICOM file, as a reading room would show it; only the tags needed are read.

How stored values become grey levels is in `windowing`.
"""

import io
import zlib

import cv2
import numpy as np
from pydicom import config, dcmread, uid
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder, pixel_array

from lib.data.films import windowing
from lib.data.films.dicom_process import decode_apart
from lib.data.films.film import MAX_BYTES, Film, ImageRefused, check_size

# Decoders that raise at broken streams; the others may end the process, see `films.dicom_process`.
TRUSTED = ("pydicom", "pillow")
MAGIC, JP2 = b"DICM", b"\0\0\0\x0cjP  "
JPEG_2000 = (uid.JPEG2000, uid.JPEG2000Lossless)
MODALITIES = ("CR", "DX", "RG")
# Computed radiography; digital X-ray for presentation: for files without a modality.
RADIOGRAPHS = ("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1")
# Other and secondary capture: radiographs only where body part or view says so.
VAGUE, CHEST = ("OT", "SC"), ("CHEST", "THORAX", "LUNG", "LUNGS")
# Whatever else a file says (names, dates, hospitals) is not even parsed.
TAGS = [
    *("SOPClassUID", "Modality", "PresentationIntentType", "PatientID", "ViewPosition"),
    *("BodyPartExamined", "BurnedInAnnotation", "PresentationLUTShape"),
    *("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept"),
    *("ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("PixelData", "FloatPixelData"),
]

# A value of the wrong length in a tag of no use would otherwise be a warning for each film.
config.settings.reading_validation_mode = config.IGNORE


def is_dicom(data):
    """Whether the bytes of a file are DICOM's, by the mark after its preamble."""
    return data[128:132] == MAGIC


def decode(data):
    """Decode the bytes of a DICOM file to a `Film`.

    Its ``grey`` is that of `windowing.shown`: uint8 where a window or VOI LUT says what black and
    white are.

    Raises
    ------
    ImageRefused
        No radiograph (modality other than CR, DX, RG, or OT or SC of the chest), raw detector data,
        several frames, a photometric interpretation that is not grey or RGB, no decoder for its
        compression, or bytes that cannot be read.
    """
    _check_inflated_size(data)
    header = dcmread(io.BytesIO(data), specific_tags=TAGS)
    remarks = (*_check_kind(header), *windowing.remarks(header))
    check_size(int(header.get("Columns") or 0), int(header.get("Rows") or 0))
    if "PixelData" not in header:
        kind = "floating-point" if "FloatPixelData" in header else "no"
        raise ImageRefused(f"cannot be decoded ({kind} pixels; expected whole numbers)")
    raw = _pixels(header, data)
    facts = {
        "remarks": remarks,
        "format": "DICOM",
        "view": _text(header, "ViewPosition").upper(),
        # Some pseudonyms are longer than the standard's 64 characters.
        "patient_id": _text(header, "PatientID", most=256),
    }
    if raw.ndim == 3:
        if raw.dtype != np.uint8:
            raise ImageRefused(f"cannot be decoded (colour of {raw.dtype}; expected 8 bits)")
        return Film(cv2.cvtColor(raw, cv2.COLOR_RGB2GRAY), colour=True, **facts)
    return Film(windowing.shown(raw, header), **facts)


def _pixels(header, data):
    plugins = _plugins(header)
    trusted = [name for name in TRUSTED if name in plugins]
    _check_boxes(header)
    if not trusted:
        return decode_apart(data)
    stored, shift = header.BitsStored, windowing.left_aligned(header)
    header.BitsStored = stored + shift  # pydicom 3.0 would cut off what lies above
    try:
        raw = pixel_array(header, decoding_plugin=trusted[0])
    except Exception:
        # Of other syntaxes GDCM would read films that are cut off.
        if header.file_meta.TransferSyntaxUID not in JPEG_2000 or len(plugins) == len(trusted):
            raise
        raw = decode_apart(data)
    header.BitsStored = stored
    return raw >> shift if shift else raw


def _text(header, name, most=64):
    # A damaged length lets a value run on into the names that follow it; none may reach a table.
    text = str(header.get(name) or "").strip()
    return text if text.isprintable() and len(text) <= most else ""


def _check_inflated_size(data):
    # pydicom inflates this syntax whole and without a limit, before the header can be looked at.
    if uid.DeflatedExplicitVRLittleEndian.encode() not in data[:2048]:
        return
    length = int.from_bytes(data[140:144], "little")  # of the file meta group, by its first element
    stream, position, total = zlib.decompressobj(-zlib.MAX_WBITS), 144 + length, 0
    pending = data[position:]
    while pending and not stream.eof:
        total += len(stream.decompress(pending, 2**20))
        pending = stream.unconsumed_tail
        if total > MAX_BYTES // 4:
            raise ImageRefused("cannot be decoded (unpacks to more than 256 MiB)")


def _check_kind(header):
    """Refuse what is no radiograph to be shown; a remark where the header hardly says so."""
    modality, part = (_text(header, name).upper() for name in ("Modality", "BodyPartExamined"))
    # VinDr-CXR tells the class in the file meta only.
    sop = _text(header, "SOPClassUID") or _text(header.file_meta, "MediaStorageSOPClassUID")
    chest = modality in VAGUE and (part in CHEST or _text(header, "ViewPosition"))
    if modality not in MODALITIES and not chest and (modality or sop not in RADIOGRAPHS):
        other = uid.UID(sop).name or "no class"
        found = f"Modality {modality}" if modality else f"no Modality, {other}"
        expected = ", ".join(MODALITIES)
        if modality in VAGUE:
            expected += (
                f", or {modality} with BodyPartExamined CHEST or a ViewPosition; if it is a "
            )
            expected += "chest film, say so there"
        raise ImageRefused(f"not a radiograph (found {found}; expected {expected})")
    if _text(header, "PresentationIntentType").upper() == "FOR PROCESSING":
        raise ImageRefused("raw detector data (FOR PROCESSING; export the film FOR PRESENTATION)")
    if (frames := int(header.get("NumberOfFrames") or 1)) > 1:
        raise ImageRefused(f"several frames (found {frames}; expected one film)")
    colours = _text(header, "PhotometricInterpretation")
    if colours not in ("MONOCHROME1", "MONOCHROME2", "RGB") and not colours.startswith("YBR_"):
        found = colours or "no photometric interpretation"
        raise ImageRefused(f"cannot be decoded (found {found}; expected MONOCHROME1, 2, RGB, YBR)")
    return (f"filed as {modality}",) if chest else ()


def _plugins(header):
    """Names of the decoders at hand for the compression of the film; refused without any."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        if header["PixelData"].is_undefined_length:
            raise ImageRefused("cannot be decoded (no transfer syntax)")
        # As it could be read so far; whether the pixels are as many as they must be is seen later.
        implicit, little = header.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        syntax = uid.ImplicitVRLittleEndian if implicit else explicit
        header.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_compressed or syntax.is_deflated:
        return TRUSTED
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageRefused(f"no decoder for {syntax.name} (pydicom knows none)") from None
    plugins = decoder.available_plugins
    if syntax == uid.JPEGExtended12Bit and int(header.get("BitsStored") or 0) > 8:
        # GDCM and Pillow decode this syntax at 8 bits only.
        plugins = [name for name in plugins if name == "pylibjpeg"]
    if not plugins and (missing := decoder.missing_dependencies):
        raise ImageRefused(
            f"no decoder for {syntax.name} (install one: {'; or '.join(missing)}; "
            "or convert the film to an uncompressed syntax)"
        )
    return plugins


def _check_boxes(header):
    # Some writers wrap JPEG 2000 in the boxes of JP2. pydicom 3.0 walks them for ever where one has
    # no length (pydicom.pixels.utils.get_j2k_parameters).
    if header.file_meta.TransferSyntaxUID not in JPEG_2000:
        return
    for stream in generate_frames(header.PixelData, number_of_frames=1):
        place = 12
        while stream.startswith(JP2) and place < len(stream):
            if stream[place + 4 : place + 8] == b"jp2c":
                break
            length = int.from_bytes(stream[place : place + 4], "big")
            if length < 8:
                raise ImageRefused("cannot be decoded (a box of JPEG 2000 without its length)")
            place += length
