"""DICOM radiographs made on the spot, shared by several tests."""

import io
import tempfile
from pathlib import Path

import gdcm
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CR = "1.2.840.10008.5.1.4.1.1.1"


def dicom(pixels, *, syntax=ExplicitVRLittleEndian, bits=None, frames=None, compress=False, **tags):
    """Bytes of a CR file; `frames` are encapsulated as given, `tags` set or, if None, left out."""
    pixels = np.asarray(pixels)
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compress else syntax
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID = CR
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = generate_uid(
        entropy_srcs=["x"]
    )
    film.Modality, film.PatientID, film.PatientName = "CR", "patient 7", "Doe^Jane"
    film.InstitutionName, film.PatientBirthDate, film.ViewPosition = (
        "St Elsewhere",
        "19700101",
        "PA",
    )
    film.Rows, film.Columns = pixels.shape[:2]
    film.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    film.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        film.PlanarConfiguration = 0
    film.BitsAllocated = 8 * pixels.dtype.itemsize
    film.BitsStored = bits or film.BitsAllocated
    film.HighBit = film.BitsStored - 1
    film.PixelRepresentation = int(pixels.dtype.kind == "i")
    film.PixelData = encapsulate(frames) if frames else pixels.tobytes()
    film["PixelData"].VR = "OB" if frames or film.BitsAllocated == 8 else "OW"
    for name, value in tags.items():
        if value is None:
            delattr(film, name)
        else:
            setattr(film, name, value)
    if compress:
        film.compress(syntax, generate_instance_uid=False)
    buffer = io.BytesIO()
    film.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def recoded(content, syntax):
    """The bytes of a DICOM file in another transfer syntax, written by GDCM."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = (str(Path(folder, name)) for name in ("before.dcm", "after.dcm"))
        Path(before).write_bytes(content)
        reader, change, writer = (
            gdcm.ImageReader(),
            gdcm.ImageChangeTransferSyntax(),
            gdcm.ImageWriter(),
        )
        reader.SetFileName(before)
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change(), f"GDCM writes no {syntax.name} of this film"
        writer.SetFileName(after)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return Path(after).read_bytes()
