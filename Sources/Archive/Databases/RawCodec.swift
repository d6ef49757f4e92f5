import CZstd
import System

/// Packs messages with zstd, and with a dictionary that is made from the first of them: alone, a message is too short to be
/// packed well.
final class RawCodec {
    /// A message with its references takes about a kilobyte, and is read back rarely: a low level is enough.
    private static let level: Int32 = 3
    private static let dictionaryBytes = 64 << 10
    /// A dictionary of fewer samples would fit only them.
    static let leastSamples = 500
    /// The largest message that is unpacked; lines are at most 1 GiB.
    private static let mostBytes: UInt64 = 1 << 30

    private let packer = ZSTD_createCCtx()
    private let unpacker = ZSTD_createDCtx()
    private var packing: OpaquePointer?
    private var unpacking: [UInt32: OpaquePointer] = [:]
    /// The dictionary that was made last, as long as its transaction may still be undone.
    var unsaved: [UInt8]?
    private var buffer: UnsafeMutableRawBufferPointer = .allocate(byteCount: 64 << 10, alignment: 16)

    deinit {
        ZSTD_freeCCtx(packer)
        ZSTD_freeDCtx(unpacker)
        ZSTD_freeCDict(packing)
        for dictionary in unpacking.values { ZSTD_freeDDict(dictionary) }
        buffer.deallocate()
    }

    var hasDictionary: Bool { packing != nil }

    /// Uses a dictionary for what is packed from now on, and for what was packed with it.
    func add(_ dictionary: [UInt8]) {
        dictionary.withUnsafeBytes { bytes in
            if let old = packing { ZSTD_freeCDict(old) }
            packing = ZSTD_createCDict(bytes.baseAddress, bytes.count, RawCodec.level)
            let id = ZSTD_getDictID_fromDict(bytes.baseAddress, bytes.count)
            if let old = unpacking[id] { ZSTD_freeDDict(old) }
            unpacking[id] = ZSTD_createDDict(bytes.baseAddress, bytes.count)
        }
    }

    /// Makes a dictionary; nil if the samples do not suit.
    ///
    /// Its content is some of the samples. Choosing the best parts of all of them would pack a fifteenth better, but takes
    /// 12 MB and ten times as long.
    static func dictionary(from samples: [UnsafeRawBufferPointer]) -> [UInt8]? {
        var joined: [UInt8] = []
        for sample in samples { joined.append(contentsOf: sample) }
        let sizes = samples.map(\.count)
        // The rest is for the statistics.
        let room = dictionaryBytes - 2048
        let step = joined.count / room + 1
        var content: [UInt8] = []
        for index in stride(from: 0, to: samples.count, by: step) where content.count + samples[index].count <= room {
            content.append(contentsOf: samples[index])
        }
        var dictionary = [UInt8](repeating: 0, count: dictionaryBytes)
        let settings = ZDICT_params_t(compressionLevel: level, notificationLevel: 0, dictID: 0)
        let count = ZDICT_finalizeDictionary(
            &dictionary, dictionary.count, content, content.count, joined, sizes, UInt32(sizes.count), settings)
        guard ZDICT_isError(count) == 0 else { return nil }
        return Array(dictionary.prefix(count))
    }

    static func id(of dictionary: [UInt8]) -> Int64 { Int64(ZSTD_getDictID_fromDict(dictionary, dictionary.count)) }

    /// Returns the packed bytes, which are valid until the next call.
    func pack(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        reserve(ZSTD_compressBound(bytes.count))
        let count =
            if let packing {
                ZSTD_compress_usingCDict(
                    packer, buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count, packing)
            } else {
                ZSTD_compressCCtx(
                    packer, buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count, RawCodec.level)
            }
        // The room is always enough, so that packing cannot fail.
        return UnsafeRawBufferPointer(rebasing: buffer[..<(ZSTD_isError(count) == 0 ? count : 0)])
    }

    /// - Throws: `ArchiveError` (65) for bytes that are damaged, or whose dictionary is missing.
    func unpack(_ bytes: [UInt8]) throws(ArchiveError) -> [UInt8] {
        let size = ZSTD_getFrameContentSize(bytes, bytes.count)
        guard size <= RawCodec.mostBytes else { throw ArchiveError(.malformedInput, "a stored message is damaged") }
        var text = [UInt8](repeating: 0, count: Int(size))
        let id = ZSTD_getDictID_fromFrame(bytes, bytes.count)
        let count =
            if id == 0 {
                ZSTD_decompressDCtx(unpacker, &text, text.count, bytes, bytes.count)
            } else {
                ZSTD_decompress_usingDDict(unpacker, &text, text.count, bytes, bytes.count, unpacking[id])
            }
        guard ZSTD_isError(count) == 0, count == text.count else {
            throw ArchiveError(.malformedInput, "a stored message is damaged, or its zstd dictionary is missing")
        }
        return text
    }

    private func reserve(_ count: Int) {
        guard buffer.count < count else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 16)
    }
}

extension ArchiveDatabase {
    /// Reads the dictionaries with which stored messages were packed.
    func loadDictionaries(into codec: RawCodec) throws {
        try run("SELECT bytes FROM dictionaries ORDER BY id", []) { codec.add($0.blob(0)) }
    }

    /// Makes a dictionary from the first messages, once there are enough of them.
    func prepare(_ codec: RawCodec, for rows: RowSelection) throws {
        if let dictionary = codec.unsaved {
            // Only if the dictionary is there already, the transaction that made it was not undone.
            if try save(dictionary) == 0 { codec.unsaved = nil }
        }
        guard !codec.hasDictionary, rows.count >= RawCodec.leastSamples else { return }
        // Another process may have made one meanwhile.
        try loadDictionaries(into: codec)
        guard !codec.hasDictionary else { return }
        let samples = rows.prefix(2000).compactMap { $0.content.flatMap { rows.arena.bytes($0.raw) } }
        guard let dictionary = RawCodec.dictionary(from: samples) else { return }
        try save(dictionary)
        codec.unsaved = dictionary
        codec.add(dictionary)
    }

    /// Returns the number of rows that were inserted.
    @discardableResult
    private func save(_ dictionary: [UInt8]) throws -> Int {
        try run(
            "INSERT INTO dictionaries (id, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            [.integer(RawCodec.id(of: dictionary)), .blob(dictionary)])
    }
}
