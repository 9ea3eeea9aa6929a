// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A token that misbehaves as it is told to: for tests only.
contract HostileTokenMock {
    enum Manner {
        Honest,
        ReturnsNothing,
        ReturnsFalse,
        Reverts,
        Lies,
        TakesFee,
        Gives,
        TakesMore,
        CallsBack,
        LiesOfBalance
    }

    Manner public manner;
    mapping(address account => uint256) public balances;
    address private _target;
    bytes private _data;
    bool public calledBack;

    error HostileToken_Refused();

    function behave(Manner manner_) external {
        manner = manner_;
    }

    /// @notice What to call, once, in the middle of the next transfer.
    function callBack(address target, bytes calldata data) external {
        (manner, _target, _data, calledBack) = (Manner.CallsBack, target, data, false);
    }

    function mint(address to, uint256 amount) external {
        balances[to] += amount;
    }

    function balanceOf(address account) external view returns (uint256) {
        return manner == Manner.LiesOfBalance ? balances[account] * 2 : balances[account];
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (manner == Manner.Reverts) revert HostileToken_Refused();
        if (manner == Manner.ReturnsFalse) return false;
        if (manner == Manner.Lies) return true;
        if (manner == Manner.CallsBack && !calledBack) {
            calledBack = true;
            (bool done,) = _target.call(_data);
            // What happens inside is the test's to look at.
            done;
        }
        balances[from] -= manner == Manner.TakesMore ? amount + 1 : amount;
        balances[to] += manner == Manner.TakesFee ? amount - amount / 10 : amount + (manner == Manner.Gives ? 1 : 0);
        if (manner == Manner.ReturnsNothing) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }
}
