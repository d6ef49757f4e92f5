import Glibc
import System

/// Finds out the format and the size of a picture by its first bytes, without decoding it.
///
/// Only formats that programs for pictures show are known. SVG is none of them: it is a program that runs in the viewer.
package struct PictureHeader: Sendable, Equatable {
    package enum Format: String, Sendable, CaseIterable {
        case jpeg, png, gif, webp, bmp, tiff, avif, heic

        package var contentType: String { "image/\(rawValue)" }

        /// The usual extension of a file's name, without the dot.
        package var fileExtension: String {
            switch self {
            case .jpeg: "jpg"
            case .tiff: "tif"
            default: rawValue
            }
        }
    }

    package let format: Format
    /// The width and height as they are stored; nil if the beginning does not tell.
    package let width: Int64?
    package let height: Int64?

    /// The bytes that are looked at. Cameras and editors put previews and profiles before the size of a JPEG.
    private static let lookedAt = 4 << 20

    /// Reads the beginning of a file; nil if it is no picture.
    package init?(ofFile path: String) {
        guard let bytes = SmallFile.readBeginning(path, count: PictureHeader.lookedAt) else { return nil }
        self.init(bytes)
    }

    init?(_ bytes: [UInt8]) {
        guard let format = PictureHeader.format(bytes) else { return nil }
        self.format = format
        let size: (width: Int64, height: Int64)? =
            switch format {
            case .png: PictureHeader.pair(bytes, at: 16, size: 4, isLittle: false)
            case .gif: PictureHeader.pair(bytes, at: 6, size: 2, isLittle: true)
            case .jpeg: PictureHeader.sizeOfJPEG(bytes)
            case .webp: PictureHeader.sizeOfWebP(bytes)
            case .bmp, .tiff, .avif, .heic: nil
            }
        let isSize = size.map { $0.width > 0 && $0.height > 0 } ?? false
        (width, height) = isSize ? (size?.width, size?.height) : (nil, nil)
    }

    private static func format(_ bytes: [UInt8]) -> Format? {
        func has(_ text: String, at offset: Int = 0) -> Bool {
            bytes.count >= offset + text.utf8.count && bytes[offset...].starts(with: text.utf8)
        }
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if has("GIF87a") || has("GIF89a") { return .gif }
        if has("RIFF"), has("WEBP", at: 8) { return .webp }
        if has("BM"), bytes.count > 26, bytes[6..<10].allSatisfy({ $0 == 0 }) { return .bmp }
        if bytes.starts(with: [0x49, 0x49, 0x2A, 0x00]) || bytes.starts(with: [0x4D, 0x4D, 0x00, 0x2A]) {
            return .tiff
        }
        if has("ftyp", at: 4) {
            if has("avif", at: 8) || has("avis", at: 8) { return .avif }
            if ["heic", "heix", "mif1", "msf1"].contains(where: { has($0, at: 8) }) { return .heic }
        }
        return nil
    }

    /// Returns two numbers that follow each other; nil at the end of the bytes.
    private static func pair(
        _ bytes: [UInt8], at offset: Int, size: Int, isLittle: Bool
    ) -> (width: Int64, height: Int64)? {
        guard let first = number(bytes, at: offset, size, isLittle),
            let second = number(bytes, at: offset + size, size, isLittle)
        else { return nil }
        return (first, second)
    }

    /// Returns a number of at most four bytes.
    private static func number(_ bytes: [UInt8], at offset: Int, _ size: Int, _ isLittle: Bool) -> Int64? {
        guard offset >= 0, offset + size <= bytes.count else { return nil }
        let digits = bytes[offset..<(offset + size)]
        return (isLittle ? Array(digits.reversed()) : Array(digits)).reduce(Int64(0)) { $0 << 8 | Int64($1) }
    }

    /// Walks through the segments of a JPEG to the one that tells the size.
    /// Source: ITU-T T.81, B.2.2 (frame header).
    private static func sizeOfJPEG(_ bytes: [UInt8]) -> (width: Int64, height: Int64)? {
        var position = 2
        while position + 4 <= bytes.count {
            guard bytes[position] == 0xFF else { return nil }
            let marker = bytes[position + 1]
            // A segment may begin with fill bytes; some markers stand alone.
            if marker == 0xFF {
                position += 1
                continue
            }
            if marker == 0x01 || (0xD0...0xD7).contains(marker) {
                position += 2
                continue
            }
            let isFrame = (0xC0...0xCF).contains(marker) && ![0xC4, 0xC8, 0xCC].contains(marker)
            if isFrame {
                return pair(bytes, at: position + 5, size: 2, isLittle: false).map { ($0.height, $0.width) }
            }
            guard let length = number(bytes, at: position + 2, 2, false), length >= 2 else { return nil }
            position += 2 + Int(length)
        }
        return nil
    }

    /// Source: RFC 9649, 2.5 to 2.7.
    private static func sizeOfWebP(_ bytes: [UInt8]) -> (width: Int64, height: Int64)? {
        guard bytes.count >= 30 else { return nil }
        switch String(decoding: bytes[12..<16], as: UTF8.self) {
        case "VP8 ":
            return pair(bytes, at: 26, size: 2, isLittle: true).map { ($0.width & 0x3FFF, $0.height & 0x3FFF) }
        case "VP8L":
            guard let bits = number(bytes, at: 21, 4, true) else { return nil }
            return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case "VP8X":
            guard let width = number(bytes, at: 24, 3, true), let height = number(bytes, at: 27, 3, true) else {
                return nil
            }
            return (width + 1, height + 1)
        default: return nil
        }
    }
}
