import System

/// Turns gallery-dl's error output into one line for the person who asked.
enum GalleryMessage {
    /// The bits of gallery-dl's exit status that name the reason.
    private enum Status {
        static let login: Int32 = 16
        static let noExtractor: Int32 = 64
    }

    static let noPictures = MediaError(.noPictures, "There are no pictures that I can find at that link.")

    /// Explains the last error.
    static func error(_ lines: [String], status: Int32) -> MediaError {
        // Links can hold any words.
        let text = lines.map(withoutLinks).joined(separator: " ").lowercased()
        if status & Status.noExtractor != 0 { return noPictures }
        for (words, code, reason) in known where words.contains(where: { text.contains($0) }) {
            return MediaError(code, reason)
        }
        if status & Status.login != 0 {
            return MediaError(.loginRequired, "The site shows that only to users who are signed in.")
        }
        guard let last = lines.last, let line = OneLine(KnownSecrets.removed(from: last), maxBytes: 200)?.text else {
            return MediaError(.extractorFailed, "gallery-dl failed without a message.")
        }
        return MediaError(.extractorFailed, line)
    }

    /// Explains a file that gallery-dl left out because of its size: it counts that as success. Nil if there is none.
    static func excess(_ lines: [String], maxBytes: Int64) -> MediaError? {
        guard let line = lines.last(where: { $0.contains("larger than allowed maximum") }) else { return nil }
        let size = line.split(separator: "(").last?.prefix { $0 != " " }
        return .tooLarge(bytes: size.flatMap { Int64($0) }, maxBytes: maxBytes)
    }

    /// Returns the name of the extractor that the last error comes from: `[instagram][error] …`; nil if it is not known.
    static func extractor(_ lines: [String]) -> String? {
        guard let line = lines.last(where: { $0.contains("][error]") }), line.hasPrefix("["),
            let bracket = line.firstIndex(of: "]")
        else { return nil }
        return String(line[..<bracket].dropFirst())
    }

    private static func withoutLinks(_ line: String) -> String {
        line.split(separator: " ").filter { !$0.contains("://") }.joined(separator: " ")
    }

    /// The known errors; the first match counts, so specific ones come first.
    private static let known: [([String], MediaError.Code, String)] = [
        (["not on the public internet"], .refusedAddress, "That link leads to an address that is not public."),
        (["no space left", "errno 28", "disk quota"], .noSpace, "There is no space left on my disk."),
        (["file too large", "errno 27"], .tooLarge, "That is too large."),
        (
            ["challengeerror", "captcha", "cloudflare"], .loginRequired,
            "The site wants proof that I am not a bot; cookies of a signed-in account are needed."
        ),
        (
            ["authrequired", "authorizationerror", "authenticationerror", "401 unauthorized", "login", "logged in"],
            .loginRequired, "The site shows that only to users who are signed in."
        ),
        (["private"], .isPrivate, "That is private."),
        (["429 "], .rateLimited, "The site has had too many requests; try again later."),
        (
            ["notfounderror", "404 ", "410 ", "could not be found", "no longer available"], .notFound,
            "That no longer exists, or never did."
        ),
        (["403 "], .forbidden, "The site refuses access to that (403)."),
        (["451 "], .geoBlocked, "The site does not show that in my country."),
        (["'500 ", "'502 ", "'503 ", "'504 "], .serverError, "The site has a problem; try again later."),
        (
            [
                "connection", "timed out", "timeout", "name resolution", "max retries", "proxyerror", "ssl",
                "certificate",
            ], .unreachable, "The site cannot be reached; try again later."
        ),
    ]
}
