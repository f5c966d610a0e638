//! Which hosts may be asked at addresses that tenants choose: a controller can reach what they cannot, such as the metadata
//! service of the cloud and the cluster's own services.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

/// What must not be sent to, and the exceptions.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    /// The flag that denies, for who is refused.
    flag: &'static str,
    denied: Vec<Rule>,
    allowed: Vec<Rule>,
}

/// Some hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `metadata`: the services by which clouds tell machines their credentials.
    Metadata,
    /// `cluster`: services of the cluster by name, and all addresses that are not public.
    Cluster,
    /// A range of addresses.
    Range(IpAddr, u8),
    /// A host name.
    Host(String),
    /// `*.` and a domain: all names below it.
    Domain(String),
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let (address, length) = text.split_once('/').map_or((text.as_str(), None), |(a, l)| (a, Some(l)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let length = length.map_or(Ok(whole), str::parse).ok().filter(|length| *length <= whole);
            let length = length.ok_or_else(|| format!("'{text}' is no range of addresses"))?;
            return Ok(Self::Range(address, length));
        }
        match text.as_str() {
            "metadata" => Ok(Self::Metadata),
            "cluster" => Ok(Self::Cluster),
            _ => match text.strip_prefix("*.") {
                Some(domain) if is_host(domain) => Ok(Self::Domain(domain.to_owned())),
                None if is_host(&text) => Ok(Self::Host(text)),
                _ => Err(format!(
                    "'{text}' is no host, no range of addresses, and not 'metadata' or 'cluster'"
                )),
            },
        }
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Metadata services outside the link-local range: Azure's, Alibaba's, and Amazon's over IPv6.
const METADATA: [&str; 3] = ["168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128"];
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"];

impl Rule {
    fn holds_name(&self, host: &str) -> bool {
        let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        match self {
            Self::Metadata => matches!(host, "metadata" | "metadata.google.internal" | "metadata.goog"),
            // A name without a dot is completed by the search list of the Pod: to a service beside this one.
            Self::Cluster => !host.contains('.') || below("svc") || below("cluster.local"),
            Self::Host(name) => name == host,
            Self::Domain(domain) => below(domain),
            Self::Range(..) => false,
        }
    }

    fn holds_address(&self, address: IpAddr) -> bool {
        let within = |ranges: &[&str]| {
            ranges.iter().filter_map(|range| range.parse().ok()).any(|rule: Self| rule.holds_address(address))
        };
        match self {
            Self::Metadata => is_link_local(address) || within(&METADATA),
            Self::Cluster => address.is_unspecified() || within(&PRIVATE),
            Self::Range(range, length) => in_range(address, *range, *length),
            Self::Host(_) | Self::Domain(_) => false,
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn in_range(address: IpAddr, range: IpAddr, length: u8) -> bool {
    let (address, range, whole) = match (address, range) {
        (IpAddr::V4(address), IpAddr::V4(range)) => {
            (u128::from(address.to_bits()), u128::from(range.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(range)) => (address.to_bits(), range.to_bits(), 128),
        _ => return false,
    };
    length == 0 || address >> (whole - length) == range >> (whole - length)
}

impl AddressPolicy {
    /// A policy of rules; what is allowed goes before what is denied. `flag` is the one that denies, for messages.
    pub fn new(flag: &'static str, denied: Vec<Rule>, allowed: Vec<Rule>) -> Self {
        Self { flag, denied, allowed }
    }

    /// The policy of two flags, each with its name and what was given. The error names flag and rule.
    pub fn of_flags(denied: (&'static str, &[String]), allowed: (&str, &[String])) -> Result<Self, String> {
        let rules = |flag: &str, texts: &[String]| {
            let given = texts.iter().filter(|text| !text.is_empty());
            given
                .map(|text| text.parse())
                .collect::<Result<Vec<Rule>, _>>()
                .map_err(|problem| format!("--{flag}: {problem}"))
        };
        Ok(Self::new(denied.0, rules(denied.0, denied.1)?, rules(allowed.0, allowed.1)?))
    }

    /// Checks the host of a URL as it is written: its name, or its address.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        self.check_host(url.host_str().unwrap_or_default())
    }

    /// Checks the host of a proxy.
    pub fn check_proxy(&self, proxy: &crate::Proxy) -> Result<(), String> {
        let url = Url::parse(proxy.address.trim());
        self.check(&url.map_err(|error| format!("the proxy's address is invalid: {error}"))?)
    }

    /// Checks a host as it is written.
    pub fn check_host(&self, host: &str) -> Result<(), String> {
        let host =
            host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.check_address(&host, address);
        }
        let holds = |rules: &[Rule]| rules.iter().any(|rule| rule.holds_name(&host));
        if holds(&self.denied) && !holds(&self.allowed) {
            return Err(self.refusal(&host));
        }
        Ok(())
    }

    /// Checks an address that a host has.
    fn check_address(&self, host: &str, address: IpAddr) -> Result<(), String> {
        // An IPv4 address in the clothes of IPv6 is the same machine.
        let address = address.to_canonical();
        let holds = |rules: &[Rule]| rules.iter().any(|rule| rule.holds_address(address));
        let named = self.allowed.iter().any(|rule| rule.holds_name(host));
        if holds(&self.denied) && !named && !holds(&self.allowed) {
            return Err(self.refusal(host));
        }
        Ok(())
    }

    /// The addresses of a host, all of which must be allowed: who controls a name can point it anywhere.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        self.check_host(host)?;
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<SocketAddr> =
            found.map_err(|error| format!("cannot find '{host}': {error}"))?.collect();
        for address in &found {
            self.check_address(&host.trim_end_matches('.').to_ascii_lowercase(), address.ip())?;
        }
        Ok(found)
    }

    /// Redirects as [`Options::redirects`](crate::Options::redirects) has them, to hosts of the policy only.
    pub fn redirects(&self) -> Policy {
        let policy = self.clone();
        Policy::custom(move |attempt| match policy.check(attempt.url()) {
            Ok(()) => crate::follow(attempt),
            Err(refusal) => attempt.error(refusal),
        })
    }

    fn refusal(&self, host: &str) -> String {
        format!("the host '{host}' must not be sent to: --{}", self.flag)
    }

    /// The policy as the resolver of an HTTP client. It is not asked for hosts that are addresses: [`Self::check`] is.
    pub fn resolver(&self) -> Arc<Resolver> {
        Arc::new(Resolver(self.clone()))
    }
}

/// Looks up names under a policy.
#[derive(Debug)]
pub struct Resolver(AddressPolicy);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = policy.resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(denied: &[&str], allowed: &[&str]) -> AddressPolicy {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        AddressPolicy::new("deny-hosts", rules(denied), rules(allowed))
    }

    fn passes(policy: &AddressPolicy, url: &str) -> bool {
        policy.check(&url.parse().unwrap()).is_ok()
    }

    #[test]
    fn metadata_is_denied_in_every_spelling() {
        let policy = policy(&["metadata"], &[]);
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://metadata.google.internal./x",
            "http://METADATA/",
            "http://168.63.129.16/",
        ] {
            assert!(!passes(&policy, url), "{url}");
        }
        for url in
            ["https://hooks.slack.com/x", "http://alertmanager.monitoring.svc:9093/", "http://10.0.0.1/"]
        {
            assert!(passes(&policy, url), "{url}");
        }
    }

    #[test]
    fn the_cluster_is_denied_with_exceptions() {
        let policy = policy(&["cluster", "203.0.113.0/24"], &["alertmanager.monitoring.svc", "10.1.2.3"]);
        for url in [
            "http://kubernetes/",
            "http://kubernetes.default.svc/",
            "http://x.y.svc.cluster.local/",
            "http://10.1.2.4/",
            "http://127.0.0.1:8080/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://203.0.113.7/",
        ] {
            assert!(!passes(&policy, url), "{url}");
        }
        for url in ["http://alertmanager.monitoring.svc:9093/", "http://10.1.2.3/", "https://example.com/"] {
            assert!(passes(&policy, url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads() {
        assert!(policy(&["127.0.0.0/8", "::1"], &[]).resolve("localhost", 80).await.is_err());
        assert!(policy(&["127.0.0.0/8", "::1"], &["localhost"]).resolve("localhost", 80).await.is_ok());
        assert!(policy(&["metadata"], &[]).resolve("localhost", 80).await.is_ok());
    }

    #[test]
    fn rules_are_read() {
        assert_eq!("*.corp.example".parse(), Ok(Rule::Domain("corp.example".into())));
        assert_eq!("192.0.2.0/24".parse(), Ok(Rule::Range("192.0.2.0".parse().unwrap(), 24)));
        for bad in ["", "10.0.0.0/33", "http://x/", "a b"] {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }
}
