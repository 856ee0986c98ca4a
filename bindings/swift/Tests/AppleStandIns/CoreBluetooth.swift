import Foundation

public final class CBUUID: NSObject, @unchecked Sendable {
    public init(string: String) {}
}

public enum CBManagerAuthorization: Int, Sendable { case notDetermined, restricted, denied, allowedAlways }
public enum CBManagerState: Int, Sendable { case unknown, resetting, unsupported, unauthorized, poweredOff, poweredOn }
public enum CBCharacteristicWriteType: Int, Sendable { case withResponse, withoutResponse }

open class CBManager: NSObject {
    public class var authorization: CBManagerAuthorization { .notDetermined }
    public var state: CBManagerState { .unknown }
}

public final class CBCentralManager: CBManager {
    public init(delegate: (any CBCentralManagerDelegate)?, queue: DispatchQueue?, options: [String: Any]? = nil) {}
    public func scanForPeripherals(withServices: [CBUUID]?, options: [String: Any]? = nil) {}
    public func stopScan() {}
    public func retrievePeripherals(withIdentifiers: [UUID]) -> [CBPeripheral] { [] }
    public func connect(_ peripheral: CBPeripheral, options: [String: Any]? = nil) {}
    public func cancelPeripheralConnection(_ peripheral: CBPeripheral) {}
}

open class CBAttribute: NSObject {
    public var uuid: CBUUID { CBUUID(string: "") }
}

public final class CBService: CBAttribute {
    public var characteristics: [CBCharacteristic]? { nil }
}

public final class CBCharacteristic: CBAttribute {
    public var value: Data? { nil }
    public var isNotifying: Bool { false }
}

public final class CBPeripheral: NSObject {
    public weak var delegate: (any CBPeripheralDelegate)?
    public var identifier: UUID { UUID() }
    public var services: [CBService]? { nil }
    public var canSendWriteWithoutResponse: Bool { false }
    public func discoverServices(_ services: [CBUUID]?) {}
    public func discoverCharacteristics(_ characteristics: [CBUUID]?, for service: CBService) {}
    public func setNotifyValue(_ enabled: Bool, for characteristic: CBCharacteristic) {}
    public func maximumWriteValueLength(for type: CBCharacteristicWriteType) -> Int { 20 }
    public func writeValue(_ data: Data, for characteristic: CBCharacteristic, type: CBCharacteristicWriteType) {}
}

public protocol CBCentralManagerDelegate: NSObjectProtocol {
    func centralManagerDidUpdateState(_ central: CBCentralManager)
    func centralManager(_ central: CBCentralManager, willRestoreState dict: [String: Any])
    func centralManager(
        _ central: CBCentralManager, didDiscover peripheral: CBPeripheral, advertisementData: [String: Any],
        rssi RSSI: NSNumber)
    func centralManager(_ central: CBCentralManager, didConnect peripheral: CBPeripheral)
    func centralManager(
        _ central: CBCentralManager, didFailToConnect peripheral: CBPeripheral, error: (any Error)?)
    func centralManager(
        _ central: CBCentralManager, didDisconnectPeripheral peripheral: CBPeripheral, error: (any Error)?)
}

public protocol CBPeripheralDelegate: NSObjectProtocol {
    func peripheral(_ peripheral: CBPeripheral, didDiscoverServices error: (any Error)?)
    func peripheral(
        _ peripheral: CBPeripheral, didDiscoverCharacteristicsFor service: CBService, error: (any Error)?)
    func peripheral(
        _ peripheral: CBPeripheral, didUpdateNotificationStateFor characteristic: CBCharacteristic,
        error: (any Error)?)
    func peripheral(
        _ peripheral: CBPeripheral, didUpdateValueFor characteristic: CBCharacteristic, error: (any Error)?)
    func peripheralIsReady(toSendWriteWithoutResponse peripheral: CBPeripheral)
    func peripheral(_ peripheral: CBPeripheral, didModifyServices invalidatedServices: [CBService])
}

public let CBCentralManagerOptionRestoreIdentifierKey = ""
public let CBCentralManagerRestoredStatePeripheralsKey = ""
public let CBCentralManagerScanOptionAllowDuplicatesKey = ""
public let CBAdvertisementDataServiceDataKey = ""
public let CBAdvertisementDataTxPowerLevelKey = ""
