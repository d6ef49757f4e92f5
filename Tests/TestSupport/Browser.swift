package import JSON

/// Shows web pages in a headless Chromium.
package enum Browser {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Opens pages one after the other.
    ///
    /// - Parameters:
    ///   - steps: addresses, and what is done there, as `browser.py` describes.
    ///   - folder: takes the browser's files.
    /// - Returns: the last page, all requests since the first one, and all complaints of the browser.
    package static func look(_ steps: [String], folder: TemporaryFolder) throws -> JSON {
        let told = try SpawnedProgram.output(
            of: ["python3", "-B", "\(testFolder)/TestSupport/browser.py", folder.path] + steps)
        let page = try JSON(parsing: told)
        if let error = page["error"]?.string { throw Failure(description: "\(steps): \(error)") }
        return page
    }
}
