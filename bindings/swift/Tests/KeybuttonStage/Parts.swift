import Foundation
import Keybutton

/// A radio whose every call and every event passes through Swift.
package final class PassedRadio: Radio {
    private let radio: any Radio

    package init(_ radio: any Radio) {
        self.radio = radio
    }

    package func state() -> RadioState { radio.state() }
    package func startScan(events: RadioEvents) throws { try radio.startScan(events: events) }
    package func stopScan() { radio.stopScan() }
    package func disconnect(peripheral: PeripheralId) { radio.disconnect(peripheral: peripheral) }

    package func connect(peripheral: PeripheralId, events: RadioEvents) throws {
        try radio.connect(peripheral: peripheral, events: events)
    }

    package func write(peripheral: PeripheralId, value: Data) throws {
        try radio.write(peripheral: peripheral, value: value)
    }
}

/// A vault whose every call passes through Swift.
package final class PassedVault: Vault {
    private let vault: any Vault

    package init(_ vault: any Vault) {
        self.vault = vault
    }

    package func load(name: String) throws -> Data? { try vault.load(name: name) }
    package func store(name: String, value: Data) throws { try vault.store(name: name, value: value) }
    package func remove(name: String) throws { try vault.remove(name: name) }
    package func wipe() throws { try vault.wipe() }
}
