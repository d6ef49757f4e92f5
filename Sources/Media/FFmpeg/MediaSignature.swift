/// Whether a file begins as one of the containers begins that are worth showing to ffprobe.
///
/// It spares other files the cost of a child process, and the child the sight of them.
enum MediaSignature {
    /// How many bytes are looked at.
    static let length = 4096

    static func isPlausible(_ bytes: [UInt8]) -> Bool {
        let head = bytes.drop { $0 == 0 }  // some mp3 and MPEG files begin with padding
        if fixed.contains(where: { bytes.starts(with: $0) || head.starts(with: $0) }) { return true }
        if boxes.contains(where: { bytes.dropFirst(4).starts(with: $0.utf8) }) { return true }
        return isFrame(head) || isTransportStream(bytes)
    }

    /// The sync word of MPEG audio, ADTS, AC-3 or DTS.
    private static func isFrame(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, let second = bytes.dropFirst().first else { return false }
        return (first == 0xff && second & 0xe0 == 0xe0) || (first == 0x0b && second == 0x77)
            || (first == 0x7f && second == 0xfe)
    }

    /// Packets of 188 bytes, or of 192 with a time before each.
    private static func isTransportStream(_ bytes: [UInt8]) -> Bool {
        [(0, 188), (4, 192)].contains { start, step in
            bytes.count > start + 2 * step && (0..<3).allSatisfy { bytes[start + $0 * step] == 0x47 }
        }
    }

    /// The first boxes of mov and mp4.
    private static let boxes = ["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "moof", "sidx"]

    private static let fixed: [[UInt8]] =
        [
            [0x1a, 0x45, 0xdf, 0xa3],  // Matroska, WebM
            [0x30, 0x26, 0xb2, 0x75],  // ASF
            [0x06, 0x0e, 0x2b, 0x34],  // MXF
            [0x00, 0x00, 0x01],  // MPEG
            [0x00, 0x00, 0x00, 0x01],  // H.264, HEVC
        ]
        + [
            "ID3", "OggS", "RIFF", "RF64", "fLaC", "FLV", "FORM", "caff", "#!AMR", ".snd", ".RMF", "wvpk", "MAC ",
            "TTA1", "MPCK",
            "MP+", "DKIF", "nut/", "tBaK", "riff",
        ].map { Array($0.utf8) }
}
