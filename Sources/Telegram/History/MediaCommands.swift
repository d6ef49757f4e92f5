import Envelope
import JSON
import Payloads

/// Makes the commands that download the media of messages.
struct MediaCommands: Sendable {
    /// The members of a `Message` of the Bot API whose files are wanted: `photo`, `video`, `document`, …
    let wanted: [String]

    /// Returns the command for a message; nil if it has no wanted file.
    func command(for message: JSON) -> MediaDownload? {
        for kind in wanted {
            // Of a photo's sizes, the last is the largest.
            guard var file = (message[kind]?.array?.last ?? message[kind])?.object else { continue }
            file["type"] = .string(kind)
            guard let file = TelegramFile(.object(file)) else { continue }
            return MediaDownload(kind: ["audio", "voice"].contains(kind) ? .audio : .video, source: .file(file))
        }
        return nil
    }
}
