import Spool
import System

/// Where the lines of a spool go. Belongs to the thread of its pump.
protocol SpoolOutlet: AnyObject {
    /// Goes back to what was lost when the process before this one ended.
    func resume(_ reader: SpoolReader) throws(SpoolError)
    /// Takes what it can of a stretch, moving the reader on; returns soon, whether it could or not.
    ///
    /// - Returns: whether it took something.
    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool
    /// Notes, now and then while nothing is to be taken, what the reader must know.
    func settle(_ reader: SpoolReader)
    /// Everything has been taken; true: and nothing can be lost any more.
    func finish(_ reader: SpoolReader) throws(ToolError) -> Bool
    /// Ends the waiting, from any thread.
    func giveUp()
}

extension SpoolOutlet {
    func resume(_ reader: SpoolReader) {}
    func settle(_ reader: SpoolReader) {}
    func giveUp() {}
}

extension SpoolError {
    var stageError: ToolError { ToolError(exitStatus, message) }
}
