//! The lab's certificates: one authority for the cluster, one for the aggregation layer, and a
//! client certificate for each component under the name Kubernetes' own RBAC rules expect.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::state::write;

/// Where the certificates of a lab are.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    directory: PathBuf,
}

/// A certificate with its key, as files.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Who a client certificate is for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// File name.
    pub file: String,
    /// User name.
    pub common_name: String,
    /// Group, if any.
    pub organization: Option<&'static str>,
}

impl Identity {
    /// A component whose user is `system:<name>`.
    pub(crate) fn component(name: &str) -> Self {
        Self { file: name.into(), common_name: format!("system:{name}"), organization: None }
    }

    /// The kubelet of a node.
    pub(crate) fn kubelet(node: &str) -> Self {
        Self {
            file: format!("kubelet-{node}"),
            common_name: format!("system:node:{node}"),
            organization: Some("system:nodes"),
        }
    }

    /// A user who may do everything.
    pub(crate) fn admin(name: &str) -> Self {
        Self { file: name.into(), common_name: name.into(), organization: Some("system:masters") }
    }
}

/// An authority that can sign.
type Authority = Issuer<'static, KeyPair>;

impl Pki {
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Creates everything anew.
    pub(crate) fn create(
        &self,
        server_names: &[String],
        server_ips: &[IpAddr],
        clients: &[Identity],
    ) -> anyhow::Result<()> {
        let cluster = self.create_authority("ca", "ferrolb-lab")?;
        let front_proxy = self.create_authority("front-proxy-ca", "ferrolb-lab-front-proxy")?;
        let mut server = leaf("kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth);
        for name in server_names {
            let name = name.as_str().try_into().with_context(|| format!("certificate name {name}"))?;
            server.subject_alt_names.push(SanType::DnsName(name));
        }
        server.subject_alt_names.extend(server_ips.iter().map(|ip| SanType::IpAddress(*ip)));
        self.sign("kube-apiserver", &server, &cluster)?;
        for Identity { file, common_name, organization } in clients {
            let client = leaf(common_name, *organization, ExtendedKeyUsagePurpose::ClientAuth);
            self.sign(file, &client, &cluster)?;
        }
        let proxy = leaf("front-proxy-client", None, ExtendedKeyUsagePurpose::ClientAuth);
        self.sign("front-proxy-client", &proxy, &front_proxy)?;
        let service_accounts = KeyPair::generate().context("generate the service-account key")?;
        write(&self.service_account_key(), service_accounts.serialize_pem().as_bytes())?;
        write(&self.service_account_public_key(), service_accounts.public_key_pem().as_bytes())
    }

    /// Certificate of the cluster's authority, which all components trust.
    pub(crate) fn ca(&self) -> CertificateFiles {
        self.files("ca")
    }

    pub(crate) fn files(&self, name: &str) -> CertificateFiles {
        CertificateFiles { certificate: self.path(name, "crt"), key: self.path(name, "key") }
    }

    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.path("service-accounts", "key")
    }

    pub(crate) fn service_account_public_key(&self) -> PathBuf {
        self.path("service-accounts", "pub")
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{name}.{extension}"))
    }

    fn create_authority(&self, name: &str, common_name: &str) -> anyhow::Result<Authority> {
        let key = KeyPair::generate().with_context(|| format!("generate the key of {name}"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(common_name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).with_context(|| format!("sign {name}"))?;
        write_pair(&self.files(name), &certificate.pem(), &key)?;
        Ok(Issuer::new(params, key))
    }

    fn sign(&self, name: &str, params: &CertificateParams, authority: &Authority) -> anyhow::Result<()> {
        let key = KeyPair::generate().with_context(|| format!("generate the key of {name}"))?;
        let certificate = params.signed_by(&key, authority).with_context(|| format!("sign {name}"))?;
        write_pair(&self.files(name), &certificate.pem(), &key)
    }
}

fn leaf(common_name: &str, organization: Option<&str>, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(common_name, organization);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params
}

fn distinguished_name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn write_pair(files: &CertificateFiles, certificate: &str, key: &KeyPair) -> anyhow::Result<()> {
    write(&files.certificate, certificate.as_bytes())?;
    write(&files.key, key.serialize_pem().as_bytes())?;
    restrict(&files.key)
}

/// Leaves a file to its owner alone.
pub(crate) fn restrict(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, owner_only).with_context(|| format!("restrict {}", path.display()))
}

/// Writes a kubeconfig that refers to the certificate files; every kubectl reads this form.
pub(crate) fn write_kubeconfig(
    path: &Path,
    server: &str,
    ca: &Path,
    client: &CertificateFiles,
) -> anyhow::Result<()> {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
         clusters:\n- name: lab\n  cluster:\n    server: {server}\n    certificate-authority: {}\n\
         users:\n- name: lab\n  user:\n    client-certificate: {}\n    client-key: {}\n\
         contexts:\n- name: lab\n  context:\n    cluster: lab\n    user: lab\n",
        ca.display(),
        client.certificate.display(),
        client.key.display(),
    );
    write(path, text.as_bytes())?;
    restrict(path)
}
