import TL

/// What a client tells Telegram about itself before its first call, and in which layer of the API it speaks.
package struct ClientDescription: Sendable, Equatable {
    package var layer: Int
    /// The number that my.telegram.org gave the application.
    package var apiID: Int
    package var deviceModel: String
    package var systemVersion: String
    package var appVersion: String
    package var languageCode: String

    package init(
        layer: Int, apiID: Int, deviceModel: String, systemVersion: String, appVersion: String,
        languageCode: String = "en"
    ) {
        (self.layer, self.apiID) = (layer, apiID)
        (self.deviceModel, self.systemVersion, self.appVersion) = (deviceModel, systemVersion, appVersion)
        self.languageCode = languageCode
    }

    /// `invokeWithLayer` and `initConnection` as TL, up to where the call begins. Source: https://core.telegram.org/api/invoking
    package var bytes: [UInt8] {
        TLBytes { writer in
            writer.word(0xda9b_0d0d)
            writer.int(Int32(truncatingIfNeeded: layer))
            writer.word(0xc1cd_5ea9)
            writer.word(0)
            writer.int(Int32(truncatingIfNeeded: apiID))
            writer.string(deviceModel)
            writer.string(systemVersion)
            writer.string(appVersion)
            writer.string(languageCode)
            // A language pack is for the texts of Telegram's own applications.
            writer.string("")
            writer.string(languageCode)
        }
    }
}
