import ArgumentParser
import Accounts
import Glibc
import JSON
import Options
import Stage
import System
import TL

/// Measures transfers for a benchmark. It is not a tool of the toolkit. It uploads and downloads a file, and prints one
/// line of JSON with the seconds of each, by the clock and of the processor.
@main struct TransferCheck: Tool {
    static let configuration = CommandConfiguration(commandName: "transfer-check")

    @OptionGroup var common: CommonOptions
    @OptionGroup var account: AccountOptions
    @Argument var small: String
    @Argument var source: String
    @Argument var copy: String

    private struct Cost {
        private let began = ContinuousClock.now
        private let used = Cost.processorSeconds

        static var processorSeconds: Double {
            var time = timespec()
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }

        var json: JSON {
            .object([
                "seconds": .number((ContinuousClock.now - began) / .seconds(1)),
                "cpu": .number(Cost.processorSeconds - used),
            ])
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await account.withAccount(runtime) { account in
            // The connections already exist, as for the peer.
            try await account.download(try await send(account, small), to: copy) { _ in }
            let up = Cost()
            let file = try await send(account, source)
            let sent = up.json
            let down = Cost()
            try await account.download(file, to: copy) { _ in }
            print(JSON.object(["up": sent, "down": down.json]).text)
        }
        return .success
    }

    /// Uploads a file and sends it to Saved Messages.
    private func send(_ account: any Account, _ path: String) async throws -> RemoteFile {
        let file = try await account.upload(path, key: "\(path) \(getpid())") { _ in }
        let media: JSON = .object([
            "_": "inputMediaUploadedDocument", "file": file, "mime_type": "application/octet-stream", "attributes": [],
            "force_file": true,
        ])
        var options = CallOptions()
        options.deadline = .seconds(300)
        let answer = try await account.call(
            "messages.sendMedia",
            [
                "peer": "me", "media": media, "message": "", "random_id": .integer(Int64.random(in: 1...Int64.max)),
            ], options
        ).json()
        let message = answer["updates"]?.array?.lazy.compactMap { $0["message"] }.first
        guard let sent = AccountFileID.files(of: message?["media"] ?? .null, origin: nil).first else {
            throw ToolError(.no, "the message came without its file")
        }
        return sent.remoteFile
    }
}
